// Command franz-go is franz-go's program in the client-compatibility suite: create, produce and
// consume as harness/wire.py asks, and `codecs TOPIC`, which tells the suite how the batches of
// any client are stored.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 2 && args[0] == "codecs" {
		return codecs(ctx, args[1])
	}
	if len(args) != 3 {
		return fmt.Errorf("usage: create TOPIC PARTITIONS | produce TOPIC CODEC | consume TOPIC GROUP | codecs TOPIC")
	}
	switch verb, topic, arg := args[0], args[1], args[2]; verb {
	case "create":
		return create(ctx, topic, arg)
	case "produce":
		return produce(ctx, topic, arg)
	case "consume":
		return consume(ctx, topic, arg)
	default:
		return fmt.Errorf("unknown verb %q", verb)
	}
}

func newClient(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(opts, kgo.SeedBrokers(os.Getenv("BOOTSTRAP")))...)
}

func create(ctx context.Context, topic, partitions string) error {
	n, err := strconv.ParseInt(partitions, 10, 32)
	if err != nil {
		return err
	}
	client, err := newClient()
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = kadm.NewClient(client).CreateTopic(ctx, int32(n), -1, nil, topic)
	return err
}
