// Command revenue is a demonstration: a day of a shop's orders streams into a topic while a consumer
// group of two keeps the revenue of each country up to date, and in the end the sums are compared
// with the file. It ends by itself after about twenty seconds.
//
//	go run ./examples/revenue -brokerd bin/brokerd          starts a broker of its own
//	go run ./examples/revenue -bootstrap localhost:9092     uses a running one, any Kafka
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "revenue:", err)
		os.Exit(1)
	}
}

type options struct {
	bootstrap string
	brokerd   string        // program to start when bootstrap is empty
	orders    string        // CSV file
	length    time.Duration // how long the orders take
	topic     string        // and group; one's own, so that a second run counts nothing of the first
}

func parse(args []string) (options, error) {
	o := options{topic: fmt.Sprintf("orders-%d", os.Getpid())}
	flags := flag.NewFlagSet("revenue", flag.ContinueOnError)
	flags.StringVar(&o.bootstrap, "bootstrap", "", "use the broker at `HOST:PORT`")
	flags.StringVar(&o.brokerd, "brokerd", "bin/brokerd", "without -bootstrap, start the broker `PROGRAM`")
	flags.StringVar(&o.orders, "orders", "examples/data/online-retail-2011-12-06.csv", "the orders, a CSV `FILE`")
	flags.DurationVar(&o.length, "length", 16*time.Second, "how long the orders take")
	return o, flags.Parse(args)
}

func run(ctx context.Context, args []string, out *os.File) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	orders, err := loadOrders(o.orders)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.length+time.Minute)
	defer cancel()
	if o.bootstrap == "" {
		b, err := startBroker(ctx, o.brokerd)
		if err != nil {
			return err
		}
		defer b.stop()
		o.bootstrap = b.address
	}
	introduce(out, o, len(orders))
	totals, err := stream(ctx, o, orders, newScreen(out))
	if err != nil {
		return err
	}
	return conclude(out, totals, orders)
}

const introduction = `A shop's orders of one day, %d invoice lines, go into the topic
%s of the broker at %s.

The customer is the key, so that the lines of one customer stay in order in
one of three partitions. A consumer group adds up the revenue of each country;
cancellations subtract. It begins with one member. Halfway a second one joins,
and the group shares out the partitions anew. Each member commits what it has
counted before it hands a partition over, so that no order is counted twice
and none is missed.

`

func introduce(out io.Writer, o options, orders int) {
	fmt.Fprintf(out, introduction, orders, o.topic, o.bootstrap)
}

// conclude compares what the group counted with the file.
func conclude(out io.Writer, counted *ledger, orders []order) error {
	want := newLedger(len(orders))
	for _, o := range orders {
		want.add(o)
	}
	var wrong []string
	for _, country := range want.countries() {
		if got := counted.revenue[country]; got != want.revenue[country] {
			wrong = append(wrong, fmt.Sprintf("%s: %s, the file says %s", country, got, want.revenue[country]))
		}
	}
	if len(wrong) > 0 || counted.orders != want.orders {
		return fmt.Errorf("the group counted %d orders, the file has %d\n%s", counted.orders, want.orders, strings.Join(wrong, "\n"))
	}
	fmt.Fprintf(out, "\nThe group counted %d orders worth %s, country by country exactly what the file holds.\n", want.orders, want.total)
	return nil
}
