package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// consume counts as a member of the group until ctx ends.
func (s *session) consume(ctx context.Context, member string) error {
	client, err := s.join(member)
	if err != nil {
		return err
	}
	defer client.CloseAllowingRebalance()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("%s: %w", member, err)
		}
		if err := s.count(ctx, client, fetches); err != nil {
			return fmt.Errorf("%s: %w", member, err)
		}
		client.AllowRebalance()
	}
}

// join opens a member. Partitions change hands only between a commit and the next poll.
func (s *session) join(member string) (*kgo.Client, error) {
	return kgo.NewClient(
		kgo.SeedBrokers(s.bootstrap),
		kgo.ConsumerGroup(s.topic),
		kgo.ConsumeTopics(s.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(500*time.Millisecond), // so that a newcomer is noticed soon
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			s.ledger.assign(member, got[s.topic])
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
			s.ledger.revoke(member, lost[s.topic])
		}),
	)
}

// count adds the records to the ledger and commits them.
func (s *session) count(ctx context.Context, client *kgo.Client, fetches kgo.Fetches) error {
	records := fetches.Records()
	for _, r := range records {
		o, err := parseOrder(r.Value)
		if err != nil {
			return fmt.Errorf("partition %d, offset %d: %w", r.Partition, r.Offset, err)
		}
		s.ledger.add(o)
	}
	err := client.CommitRecords(ctx, records...)
	if errors.Is(err, context.Canceled) {
		return nil // the last order has been counted, and the demonstration ends
	}
	return err
}
