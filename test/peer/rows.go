//go:build linux

package main

import (
	"context"
	"time"

	"quorumlog/test/internal/nodes"
	"quorumlog/test/internal/stats"
)

const kib = 1024

func rows() []row {
	return []row{
		{"three nodes, 6 partitions, 1 KiB records", 3, false, throughput(6, kib, 1)},
		{"three nodes, 6 partitions, 100-byte records", 3, false, throughput(6, 100, 4)},
		{"three nodes, 200 partitions, 1 KiB records", 3, false, throughput(200, kib, 1)},
		{"three nodes, 6 partitions, 500 requests a second", 3, false, steady(6, 500)},
		{"three nodes, 200 partitions, 500 requests a second", 3, false, steady(200, 500)},
		{"three nodes, Java producer, 1 KiB records", 3, false, javaProducer(6)},
		{"three nodes, the leader is killed", 3, true, leaderKilled},
		{"one node, 6 partitions, 1 KiB records", 1, false, throughput(6, kib, 1)},
		{"one node, 6 partitions, 100-byte records", 1, false, throughput(6, 100, 4)},
		{"one node, 6 partitions, 1,000 requests a second", 1, false, steady(6, 1000)},
		{"one node, start", 1, true, firstProduce},
	}
}

// throughput writes a share of the megabytes as fast as it can, and reads it back.
func throughput(partitions int32, size, share int) func(context.Context, measured) (figures, error) {
	return func(ctx context.Context, m measured) (f figures, err error) {
		topic, remove, err := newTopic(ctx, m.cluster, partitions)
		if err != nil {
			return nil, err
		}
		defer func() { remove(&err) }()
		total := int64(m.mb) * 1e6 / int64(share)
		gb := float64(total) / 1e9
		begin, used := time.Now(), m.cluster.Used()
		n, err := produce(ctx, m.cluster, topic, size, total)
		if err != nil {
			return nil, err
		}
		f = append(f,
			figure{"produce, broker CPU-s/GB", (m.cluster.Used() - used).Seconds() / gb, less},
			figure{"produce, MB/s", gb * 1000 / time.Since(begin).Seconds(), more},
			figure{"memory of a node, MiB", m.cluster.Anonymous(), less})
		begin, used = time.Now(), m.cluster.Used()
		if err := consume(ctx, m.cluster, topic, n); err != nil {
			return nil, err
		}
		return append(f,
			figure{"consume, broker CPU-s/GB", (m.cluster.Used() - used).Seconds() / gb, less},
			figure{"consume, MB/s", gb * 1000 / time.Since(begin).Seconds(), more}), nil
	}
}

// steady writes one-record requests at a fixed rate, and counts from when each was due: a stall shows
// in every record that was due meanwhile.
func steady(partitions int32, rate int) func(context.Context, measured) (figures, error) {
	return func(ctx context.Context, m measured) (f figures, err error) {
		topic, remove, err := newTopic(ctx, m.cluster, partitions)
		if err != nil {
			return nil, err
		}
		defer func() { remove(&err) }()
		if _, err := atRate(ctx, m.cluster, topic, rate, 0); err != nil { // for the brokers: their code, and the topic's first records
			return nil, err
		}
		used := m.cluster.Used()
		length := time.Duration(m.seconds) * time.Second
		took, err := atRate(ctx, m.cluster, topic, rate, length)
		if err != nil {
			return nil, err
		}
		return figures{
			{"p50, ms", stats.Quantile(took, 0.5), less},
			{"p99, ms", stats.Quantile(took, 0.99), less},
			{"broker CPU-s/s", (m.cluster.Used() - used).Seconds() / (settling + length).Seconds(), less},
		}, nil
	}
}

// javaProducer is Apache Kafka's own producer with its defaults.
func javaProducer(partitions int32) func(context.Context, measured) (figures, error) {
	return func(ctx context.Context, m measured) (f figures, err error) {
		topic, remove, err := newTopic(ctx, m.cluster, partitions)
		if err != nil {
			return nil, err
		}
		defer func() { remove(&err) }()
		used := m.cluster.Used()
		records := m.mb * 1e6 / 2 / kib
		speed, err := producerPerformance(ctx, m.jars, m.cluster, topic, records, kib)
		if err != nil {
			return nil, err
		}
		gb := float64(records) * kib / 1e9
		return figures{{"MB/s", speed, more}, {"broker CPU-s/GB", (m.cluster.Used() - used).Seconds() / gb, less}}, nil
	}
}

// leaderKilled is how long one-shot producers cannot write when a partition's leader is killed.
func leaderKilled(ctx context.Context, m measured) (f figures, err error) {
	c, err := m.system.start(ctx, 3)
	if err != nil {
		return nil, err
	}
	defer func() { err = nodes.Closing(c, err) }()
	topic, _, err := newTopic(ctx, c, 1)
	if err != nil {
		return nil, err
	}
	if err := writeOnce(ctx, c, topic); err != nil {
		return nil, err
	}
	first, err := leader(ctx, c, topic)
	if err != nil {
		return nil, err
	}
	time.Sleep(2 * time.Second) // what has just started may not be up in others' eyes
	begin := time.Now()
	c.Kill(first)
	if err := writeOnce(ctx, c, topic); err != nil {
		return nil, err
	}
	return figures{{"nobody could write for, ms", milliseconds(time.Since(begin)), less}}, nil
}

// firstProduce is from the start of a process over an empty directory to its first acknowledgement.
func firstProduce(ctx context.Context, m measured) (f figures, err error) {
	c, err := m.system.prepare(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer func() { err = nodes.Closing(c, err) }()
	begin := time.Now()
	if err := c.Launch(0); err != nil {
		return nil, err
	}
	if err := writeOnce(ctx, c, "first"); err != nil {
		return nil, err
	}
	return figures{{"first acknowledged record after, ms", milliseconds(time.Since(begin)), less}}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }
