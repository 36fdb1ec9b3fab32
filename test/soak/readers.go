//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// member is a place in the consumer group, which one client after the other takes.
func (l *load) member(ctx context.Context, place int) {
	for ctx.Err() == nil {
		cl := l.client(kgo.ConsumeTopics(events), kgo.ConsumerGroup("readers"), kgo.AutoCommitMarks(), kgo.AutoCommitInterval(time.Second),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.Balancers(kgo.CooperativeStickyBalancer()))
		life, cancel := life(ctx, time.Duration(30+30*place)*time.Second)
		for life.Err() == nil {
			l.take(l.events, cl.PollFetches(life), func(r *kgo.Record) { cl.MarkCommitRecords(r) })
		}
		cancel()
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		if err := cl.CommitMarkedOffsets(stopping); err != nil && !kerr.IsRetriable(err) && !errors.Is(err, kerr.RebalanceInProgress) && !errors.Is(err, kerr.IllegalGeneration) {
			l.find(fmt.Errorf("committing offsets: %w", err))
		}
		cl.CloseAllowingRebalance()
		cancel()
		l.rebalances.Add(1)
	}
}

// take hands what a client got to a book.
func (l *load) take(b *book, f kgo.Fetches, done func(*kgo.Record)) {
	f.EachError(func(topic string, p int32, err error) {
		if topic != "" { // else the client's life has ended
			l.find(fmt.Errorf("reading %s/%d: %w", topic, p, err))
		}
	})
	f.EachRecord(func(r *kgo.Record) {
		b.take(r)
		done(r)
	})
}

// readLedger reads what was committed, all the time.
func (l *load) readLedger(ctx context.Context) {
	cl := l.client(kgo.ConsumeTopics(ledger), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	for ctx.Err() == nil {
		l.take(l.ledger, cl.PollFetches(ctx), func(*kgo.Record) {})
	}
}

// readLedgerAnew reads what is there of the ledger again and again: whatever retention has left of it.
func (l *load) readLedgerAnew(ctx context.Context) {
	for l.pauseFor(ctx, 10*time.Second) {
		cl := l.client(kgo.ConsumeTopics(ledger), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		life, cancel := life(ctx, 5*time.Second)
		last := map[stream]seen{}
		for life.Err() == nil {
			cl.PollFetches(life).EachRecord(func(r *kgo.Record) {
				writer, number := parse(r.Value)
				s := stream{writer, r.Partition}
				before, ok := last[s]
				if ok && number != before.number+1 && (number <= before.number || !l.deletedSince(life, s.partition, before.offset)) {
					l.find(fmt.Errorf("%s/%d at offset %d: record %d of writer %d after %d at offset %d", ledger, r.Partition, r.Offset, number, writer, before.number, before.offset))
				}
				last[s] = seen{number, r.Offset}
			})
		}
		cancel()
		cl.Close()
	}
}

// seen is what a reader has got of a stream.
type seen struct {
	number uint64
	offset int64
}

// deletedSince reports whether retention has overtaken a reader of the ledger.
func (l *load) deletedSince(ctx context.Context, p int32, offset int64) bool {
	starts, err := l.adm.ListStartOffsets(ctx, ledger)
	if err != nil {
		return ctx.Err() != nil // the reader's time is over
	}
	o, _ := starts.Lookup(ledger, p)
	return o.Offset > offset+1
}
