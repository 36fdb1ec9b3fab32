package main

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// appearLimit is how long to wait until a change of topics is known everywhere.
const appearLimit = 3 * time.Second

// everywhere waits until every broker that answers says of the topics what is expected, so that the
// next command finds it whomever it asks.
func everywhere(ctx context.Context, cl *kgo.Client, names []string, expected func(kmsg.MetadataResponseTopic) bool) {
	ctx, cancel := context.WithTimeout(ctx, appearLimit)
	defer cancel()
	for len(names) > 0 && ctx.Err() == nil && !allSay(ctx, cl, names, expected) {
		select {
		case <-ctx.Done():
		case <-time.After(retryStep / 2):
		}
	}
}

func allSay(ctx context.Context, cl *kgo.Client, names []string, expected func(kmsg.MetadataResponseTopic) bool) bool {
	for _, b := range cl.DiscoveredBrokers() {
		req := kmsg.NewPtrMetadataRequest()
		req.AllowAutoTopicCreation = false
		for _, name := range names {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			req.Topics = append(req.Topics, t)
		}
		answer, err := b.Request(ctx, req)
		if err != nil {
			continue // it is down, and nobody is sent to it
		}
		topics := answer.(*kmsg.MetadataResponse).Topics
		if slices.ContainsFunc(topics, func(t kmsg.MetadataResponseTopic) bool { return !expected(t) }) {
			return false
		}
	}
	return true
}

// served expects at least so many partitions, each with a leader.
func served(partitions int) func(kmsg.MetadataResponseTopic) bool {
	return func(t kmsg.MetadataResponseTopic) bool {
		return t.ErrorCode == 0 && len(t.Partitions) >= partitions &&
			!slices.ContainsFunc(t.Partitions, func(p kmsg.MetadataResponseTopicPartition) bool { return p.Leader < 0 })
	}
}

// gone expects that there is no such topic.
func gone(t kmsg.MetadataResponseTopic) bool { return t.ErrorCode == kerr.UnknownTopicOrPartition.Code }

// appear waits until topics that were made are known everywhere, and their leaders serve them.
func (a *app) appear(ctx context.Context, cl *kgo.Client, names []string) {
	everywhere(ctx, cl, names, served(1))
	for begun := time.Now(); len(names) > 0 && time.Since(begun) < appearLimit && ctx.Err() == nil; time.Sleep(retryStep / 2) {
		if ends, err := a.admin(cl).ListEndOffsets(ctx, names...); err == nil && ends.Error() == nil {
			return
		}
	}
}

// createdOf names the topics that were made.
func createdOf(answers kadm.CreateTopicResponses) []string {
	var names []string
	for name, r := range answers {
		if r.Err == nil {
			names = append(names, name)
		}
	}
	return names
}
