package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// CreatePartitions (key 37), versions 0–3 (KIP-195).
var _ = route(func(b *Broker) protocol.API {
	decidedByController(b, b.createPartitions)
	return protocol.Serve(0, 3, func(ctx context.Context, req *kmsg.CreatePartitionsRequest, resp *kmsg.CreatePartitionsResponse) error {
		err := b.decide(ctx, req, resp)
		if err == nil && !req.ValidateOnly {
			var grown []string
			for i := range resp.Topics {
				if t := &resp.Topics[i]; t.ErrorCode == 0 {
					grown = append(grown, t.Topic)
				}
			}
			b.awaitLeaders(ctx, grown, req.TimeoutMillis)
		}
		return err
	})
})

func (b *Broker) createPartitions(ctx context.Context, req *kmsg.CreatePartitionsRequest, resp *kmsg.CreatePartitionsResponse) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(req.TimeoutMillis, 0))*time.Millisecond)
	defer cancel()
	seen := map[string]int{}
	for i := range req.Topics {
		seen[req.Topics[i].Topic]++
	}
	for i := range req.Topics {
		in := &req.Topics[i]
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic = in.Topic
		var err error
		if seen[in.Topic] == 1 {
			err = b.addPartitions(ctx, in, req.ValidateOnly)
		} else {
			err = refuse(kerr.InvalidRequest, fmt.Sprintf("The topic '%s' occurs more than once in the request.", in.Topic))
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Topics = append(resp.Topics, out)
	}
	return nil
}

func (b *Broker) addPartitions(ctx context.Context, in *kmsg.CreatePartitionsRequestTopic, dry bool) error {
	var assignments [][]int32 // nil where the request leaves the placement to the cluster
	if in.Assignment != nil {
		assignments = make([][]int32, len(in.Assignment))
	}
	for i, a := range in.Assignment {
		assignments[i] = a.Replicas
	}
	_, err := b.change(ctx, dry, func(im *cluster.Image) ([]cluster.Record, error) {
		return cluster.AddPartitions(im, in.Topic, in.Count, assignments, nil)
	})
	return err
}
