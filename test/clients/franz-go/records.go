package main

import (
	"context"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var compression = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func produce(ctx context.Context, topic, codec string) error {
	client, err := newClient(kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(compression[codec]))
	if err != nil {
		return err
	}
	defer client.Close()
	failed := make(chan error, 1)
	err = orders(os.Stdin, func(r *kgo.Record) error {
		client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
		return nil
	})
	if err != nil {
		return err
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func consume(ctx context.Context, topic, group string) error {
	client, err := newClient(
		kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(300*time.Millisecond), kgo.SessionTimeout(10*time.Second), kgo.BlockRebalanceOnPoll(),
	)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil && ctx.Err() == nil {
			return err
		}
		if err := emit(fetches); err != nil {
			return err
		}
		client.AllowRebalance()
	}
	return client.CommitUncommittedOffsets(context.WithoutCancel(ctx))
}

func emit(fetches kgo.Fetches) error {
	for _, r := range fetches.Records() {
		line, err := encodeRead(r)
		if err != nil {
			return err
		}
		if _, err := os.Stdout.Write(line); err != nil {
			return err
		}
	}
	return nil
}
