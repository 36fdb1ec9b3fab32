//go:build linux

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/clustertest"
	"quorumlog/internal/powerloss"
)

// TestAYoungClusterOutlivesAPowerFailure cuts the power of all nodes at once while directories,
// node.json, the metadata's log and the first topic are new.
func TestAYoungClusterOutlivesAPowerFailure(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for round := range 5 {
		c := clustertest.Prepare(t, 3, map[string]string{"offsets.topic.num.partitions": "1"})
		for _, x := range c.Nodes {
			x.Start()
		}
		m := newModel(t)
		cl := c.NewClient(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordRetries(1<<30))
		adm := kadm.NewClient(cl)
		writing := make(chan struct{})
		enough, stop := context.WithCancel(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), recovery)
		go func() {
			defer close(writing)
			for ctx.Err() == nil {
				call, done := context.WithTimeout(ctx, 2*time.Second)
				_, err := adm.CreateTopic(call, 1, 3, nil, "t")
				done()
				if err == nil {
					break
				}
				if have, err := adm.ListTopics(ctx, "t"); err == nil && have.Has("t") {
					break
				}
				pause(ctx, 20*time.Millisecond)
			}
			for enough.Err() == nil {
				r := &kgo.Record{Topic: "t", Value: m.next(0, place{"t", 0}, 50)}
				cl.Produce(ctx, r, func(r *kgo.Record, err error) {
					if err != nil {
						t.Errorf("round %d: %s: %v", round, name(r.Value), err)
						return
					}
					m.acknowledged(r)
				})
				pause(ctx, time.Millisecond)
			}
		}()
		for range 2 {
			pause(ctx, time.Duration(rnd.IntN(1500))*time.Millisecond)
			luck := powerloss.Luck(rnd.IntN(3))
			t.Logf("round %d: power lost with luck %d, %d records acknowledged", round, luck, m.records())
			for _, i := range rnd.Perm(3) {
				c.Nodes[i].PowerOff(luck, rnd)
			}
			for _, x := range c.Nodes {
				x.Start()
			}
		}
		for _, x := range c.Nodes {
			x.Await()
		}
		stop()
		<-writing
		if err := cl.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		ends, err := endsOf(ctx, adm, "t")
		if err != nil {
			t.Fatal(err)
		}
		values, err := readAll(ctx, c, place{"t", 0}, ends[place{"t", 0}])
		if err != nil {
			t.Fatal(err)
		}
		m.check(place{"t", 0}, values)
		cl.Close()
		cancel()
		c.Close()
		if t.Failed() {
			t.Fatal(fmt.Sprint("round ", round))
		}
	}
}
