//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicsComeAndGo creates topics, writes and reads in them, and deletes them.
func (l *load) topicsComeAndGo(ctx context.Context) {
	for n := 0; l.pauseFor(ctx, 15*time.Second); n++ {
		if err := l.shortTopic(context.WithoutCancel(ctx), fmt.Sprint("short-", n)); err != nil {
			l.find(fmt.Errorf("a topic that comes and goes: %w", err))
		}
	}
}

func (l *load) shortTopic(ctx context.Context, name string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := l.adm.CreateTopic(ctx, 3, 3, nil, name); err != nil {
		return err
	}
	defer func() {
		_, failed := l.adm.DeleteTopics(ctx, name)
		err = errors.Join(err, failed)
	}()
	cl := l.client(kgo.DefaultProduceTopic(name), kgo.ConsumeTopics(name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	const records = 300
	for i := range records {
		cl.Produce(ctx, &kgo.Record{Partition: int32(i % 3), Value: value(0, uint64(i), 500)}, func(_ *kgo.Record, err error) {
			if err != nil {
				l.find(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	l.acknowledged.Add(records)
	next := [3]uint64{0, 1, 2}
	for n := 0; n < records; {
		f := cl.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return fmt.Errorf("%s: %d of %d records read: %w", name, n, records, err)
		}
		f.EachRecord(func(r *kgo.Record) {
			if _, number := parse(r.Value); number != next[r.Partition] {
				l.find(fmt.Errorf("%s/%d at offset %d: record %d where %d was to come", name, r.Partition, r.Offset, number, next[r.Partition]))
			}
			next[r.Partition] += 3
			n++
		})
	}
	l.topics.Add(1)
	return nil
}

// connectionsComeAndGo connects again and again: clients that ask and leave, and others that leave in the
// middle of a request.
func (l *load) connectionsComeAndGo(ctx context.Context) {
	for n := 0; l.pauseFor(ctx, time.Second); n++ {
		cl := l.client()
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		if _, err := kmsg.NewPtrMetadataRequest().RequestWith(call, cl); err != nil {
			l.find(fmt.Errorf("asking for metadata: %w", err))
		}
		cancel()
		cl.Close()
		if err := breakOff(l.cluster.Addrs[n%len(l.cluster.Addrs)]); err != nil {
			l.find(fmt.Errorf("connecting: %w", err))
		}
		l.connections.Add(1)
	}
}

// breakOff sends the beginning of a request and closes the connection.
func breakOff(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte{0, 0, 1, 0, 0, 18, 0, 3, 0, 0})
	return err
}
