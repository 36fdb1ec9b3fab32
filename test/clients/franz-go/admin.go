package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// codecNames is indexed by the codec in a batch's attributes.
var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

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

func list(ctx context.Context) error {
	client, err := newClient()
	if err != nil {
		return err
	}
	defer client.Close()
	topics, err := kadm.NewClient(client).ListTopics(ctx)
	for _, name := range topics.Names() {
		fmt.Println(name)
	}
	return err
}

// remove deletes the topics and groups of these names. What is not there is fine, and so is a group
// whose member was killed: it stays until the member's session ends.
func remove(ctx context.Context, names []string) error {
	client, err := newClient()
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topics, err := admin.DeleteTopics(ctx, names...)
	if err != nil {
		return err
	}
	if err := topics.Error(); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return err
	}
	groups, err := admin.DeleteGroups(ctx, names...)
	if err != nil {
		return err
	}
	err = groups.Error()
	if errors.Is(err, kerr.GroupIDNotFound) || errors.Is(err, kerr.NonEmptyGroup) {
		return nil
	}
	return err
}

// codecs prints the codecs of a topic's batches, one a line.
func codecs(ctx context.Context, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client, err := newClient(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err != nil {
		return err
	}
	var left int64
	ends.Each(func(end kadm.ListedOffset) { left += end.Offset })
	seen := map[string]bool{}
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			seen[codecNames[r.Attrs.CompressionType()]] = true
			left--
		}
	}
	for codec := range seen {
		fmt.Println(codec)
	}
	return nil
}
