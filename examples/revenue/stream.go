package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions  = 3
	drawEvery   = 200 * time.Millisecond
	closingTime = 10 * time.Second // how long the last orders may take to be counted
)

// stream sends the orders and counts them in a group of two until all are counted.
func stream(ctx context.Context, o options, orders []order, screen *screen) (*ledger, error) {
	admin, err := kgo.NewClient(kgo.SeedBrokers(o.bootstrap))
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	if _, err := kadm.NewClient(admin).CreateTopic(ctx, partitions, -1, nil, o.topic); err != nil {
		return nil, fmt.Errorf("create the topic: %w", err)
	}
	defer removeTraces(admin, o.topic)

	s := &session{bootstrap: o.bootstrap, topic: o.topic, ledger: newLedger(len(orders))}
	ctx, s.fail = context.WithCancelCause(ctx)
	defer s.wait()
	defer s.fail(nil)
	s.start(func() error { return s.produce(ctx, orders, o.length) })
	s.start(func() error { return s.consume(ctx, "first member") })
	s.start(func() error { return s.joinLater(ctx, o.length/2, "second member") })
	return s.ledger, s.watch(ctx, screen, o.length+closingTime)
}

// session is one run of the demonstration: its goroutines end when fail is called.
type session struct {
	bootstrap, topic string
	ledger           *ledger
	fail             context.CancelCauseFunc
	running          sync.WaitGroup
}

func (s *session) start(work func() error) {
	s.running.Go(func() {
		if err := work(); err != nil {
			s.fail(err)
		}
	})
}

func (s *session) wait() { s.running.Wait() }

func (s *session) joinLater(ctx context.Context, after time.Duration, member string) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(after):
		return s.consume(ctx, member)
	}
}

// watch draws the ledger until every order is counted.
func (s *session) watch(ctx context.Context, screen *screen, limit time.Duration) error {
	defer screen.close(s.ledger)
	ticker := time.NewTicker(drawEvery)
	defer ticker.Stop()
	deadline := time.After(limit)
	for !s.ledger.complete() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline:
			return fmt.Errorf("not every order was counted within %v", limit)
		case <-ticker.C:
			screen.draw(s.ledger)
		}
	}
	return nil
}

// removeTraces deletes the topic and the group on a broker that lives on. Nothing depends on it.
func removeTraces(client *kgo.Client, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	admin := kadm.NewClient(client)
	_, _ = admin.DeleteTopics(ctx, name)
	_, _ = admin.DeleteGroups(ctx, name)
}
