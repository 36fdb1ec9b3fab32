package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// appearLimit is how long to wait until new topics are seen everywhere.
const appearLimit = 3 * time.Second

// appear waits until every broker knows the topics that were made, and their leaders serve them, so
// that the next command finds them whomever it asks.
func (a *app) appear(ctx context.Context, cl *kgo.Client, names []string) {
	ctx, cancel := context.WithTimeout(ctx, appearLimit)
	defer cancel()
	for ; len(names) > 0 && ctx.Err() == nil; time.Sleep(retryStep / 2) {
		if known(ctx, cl, names) {
			if ends, err := a.admin(cl).ListEndOffsets(ctx, names...); err == nil && ends.Error() == nil {
				return
			}
		}
	}
}

// known reports whether every broker that answers has all partitions of the topics, with leaders.
func known(ctx context.Context, cl *kgo.Client, names []string) bool {
	for _, b := range cl.DiscoveredBrokers() {
		req := kmsg.NewPtrMetadataRequest()
		for _, name := range names {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			req.Topics = append(req.Topics, t)
		}
		answer, err := b.Request(ctx, req)
		if err != nil {
			continue // it is down, and nobody is sent to it
		}
		for _, t := range answer.(*kmsg.MetadataResponse).Topics {
			if t.ErrorCode != 0 {
				return false
			}
			for _, p := range t.Partitions {
				if p.Leader < 0 {
					return false
				}
			}
		}
	}
	return true
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
