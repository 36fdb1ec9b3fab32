// Command franz-go is franz-go's program in the client-compatibility suite: create, produce and
// consume as harness/wire.py asks. It also looks after the cluster for the suite: `list` prints the
// topics, `codecs TOPIC` how a topic's batches are stored, and `delete NAME...` removes the topics
// and groups of these names.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

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
	var verb, topic, argument string
	if len(args) > 0 {
		verb = args[0]
	}
	if len(args) > 1 {
		topic = args[1]
	}
	if len(args) > 2 {
		argument = args[2]
	}
	switch verb {
	case "create":
		return create(ctx, topic, argument)
	case "produce":
		return produce(ctx, topic, argument)
	case "consume":
		return consume(ctx, topic, argument)
	case "codecs":
		return codecs(ctx, topic)
	case "list":
		return list(ctx)
	case "delete":
		return remove(ctx, args[1:])
	default:
		return fmt.Errorf("unknown verb %q", verb)
	}
}

func newClient(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append(opts, kgo.SeedBrokers(os.Getenv("BOOTSTRAP")))...)
}
