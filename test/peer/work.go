//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/test/internal/nodes"
)

// afterDelete is how long the files of a deleted topic take to go. Both systems share a filesystem, and one that
// frees hundreds of MB keeps whoever syncs waiting: it would do so in a round of the other's, and where Kafka
// deletes a minute later, as it does if it is not told otherwise, in any.
const afterDelete = 2 * time.Second

// newTopic makes a topic, with as many replicas as there are nodes, and waits until it is led.
func newTopic(ctx context.Context, c *nodes.Cluster, partitions int32) (name string, remove func(*error), err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs...))
	if err != nil {
		return "", nil, err
	}
	adm := kadm.NewClient(cl)
	name = fmt.Sprint("peer-", time.Now().UnixNano())
	remove = func(err *error) {
		_, failed := adm.DeleteTopics(ctx, name)
		*err = errors.Join(*err, failed)
		cl.Close()
		time.Sleep(afterDelete)
	}
	atOnce := "0"
	if _, err := adm.CreateTopic(ctx, partitions, int16(len(c.Addrs)), map[string]*string{"file.delete.delay.ms": &atOnce}, name); err != nil {
		cl.Close()
		return "", nil, err
	}
	for {
		m, err := adm.ListTopics(ctx, name)
		if err == nil && len(m[name].Partitions) == int(partitions) && led(m[name]) {
			return name, remove, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			cl.Close()
			return "", nil, ctx.Err()
		}
	}
}

func led(t kadm.TopicDetail) bool {
	for _, p := range t.Partitions {
		if p.Err != nil || p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
			return false
		}
	}
	return true
}

// leader is the index of the node that leads a topic's first partition.
func leader(ctx context.Context, c *nodes.Cluster, topic string) (int, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs...))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	m, err := kadm.NewClient(cl).ListTopics(ctx, topic)
	if err != nil {
		return 0, err
	}
	return int(m[topic].Partitions[0].Leader) - 1, nil
}

// produce writes records of so many bytes, and returns how many. They do not compress.
func produce(ctx context.Context, c *nodes.Cluster, topic string, size int, total int64) (n int64, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs...), kgo.DefaultProduceTopic(topic),
		kgo.ProducerLinger(5*time.Millisecond), kgo.ProducerBatchMaxBytes(900<<10), kgo.MaxBufferedRecords(1<<20), kgo.MaxBufferedBytes(64<<20),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	var failed first
	for ; n < total/int64(size); n++ {
		cl.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) { failed.note(err) })
	}
	return n, errors.Join(cl.Flush(ctx), failed.err)
}

// first is the first of many errors.
type first struct {
	mu  sync.Mutex
	err error
}

func (f *first) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

// consume reads a topic from its start until it has so many records.
func consume(ctx context.Context, c *nodes.Cluster, topic string, n int64) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(50<<20), kgo.FetchMaxPartitionBytes(8<<20))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for n > 0 {
		f := cl.PollFetches(ctx)
		if err := f.Err(); err != nil {
			return err
		}
		n -= int64(f.NumRecords())
	}
	return nil
}

// settling is how long a client writes before its records count: first it looks for leaders, opens connections
// and asks for a producer id, which at a thousand requests a second is more than the slowest hundredth.
const settling = 2 * time.Second

// atRate writes one-record requests, and returns for each the milliseconds from when it was due.
func atRate(ctx context.Context, c *nodes.Cluster, topic string, rate int, length time.Duration) ([]float64, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs...), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	var mu sync.Mutex
	var failed first
	var took []float64
	value := make([]byte, kib)
	pause := time.Second / time.Duration(rate)
	counts := time.Now().Add(settling)
	for due := counts.Add(-settling); due.Sub(counts) < length; due = due.Add(pause) {
		time.Sleep(time.Until(due))
		cl.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			failed.note(err)
			if due.Before(counts) {
				return
			}
			mu.Lock()
			took = append(took, milliseconds(time.Since(due)))
			mu.Unlock()
		})
	}
	return took, errors.Join(cl.Flush(ctx), failed.err)
}

// attempt is how long a one-shot producer tries, cadence how often one begins.
const (
	attempt = 250 * time.Millisecond
	cadence = 25 * time.Millisecond
)

// writeOnce returns when one of many producers, each of which tries once, has been acknowledged.
func writeOnce(ctx context.Context, c *nodes.Cluster, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, nodes.StartTimeout)
	defer cancel()
	acknowledged := make(chan struct{}, 1)
	for {
		go func() {
			ctx, cancel := context.WithTimeout(ctx, attempt)
			defer cancel()
			cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs...), kgo.AllowAutoTopicCreation(), kgo.ProducerLinger(0), kgo.DialTimeout(attempt),
				kgo.MetadataMinAge(10*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 5 * time.Millisecond }))
			if err != nil {
				return
			}
			defer func() { go cl.Close() }()
			if cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr() == nil {
				select {
				case acknowledged <- struct{}{}:
				default:
				}
			}
		}()
		select {
		case <-acknowledged:
			return nil
		case <-time.After(cadence):
		case <-ctx.Done():
			return fmt.Errorf("nobody could write: %w", ctx.Err())
		}
	}
}

// producerPerformance runs Apache Kafka's own tool, and returns the MB/s (of a million bytes) that it prints.
func producerPerformance(ctx context.Context, jars string, c *nodes.Cluster, topic string, records, size int) (float64, error) {
	k := kafka{jars: jars}
	argv := append(k.java("org.apache.kafka.tools.ProducerPerformance", "-Xmx512m"), "--topic", topic, "--num-records", fmt.Sprint(records),
		"--record-size", fmt.Sprint(size), "--throughput", "-1", "--bootstrap-server", strings.Join(c.Addrs, ","), "--command-property", "acks=all")
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, out)
	}
	found := regexp.MustCompile(`\(([0-9.]+) MB/sec\)`).FindAllStringSubmatch(string(out), -1)
	if len(found) == 0 {
		return 0, fmt.Errorf("no speed in %s", out)
	}
	mib, err := strconv.ParseFloat(found[len(found)-1][1], 64)
	return mib * (1 << 20) / 1e6, err
}
