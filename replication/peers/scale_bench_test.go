package peers

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// BenchmarkHundredNodes is one node of a hundred: its links to 99 others with the nodes' own heartbeats, and then
// those of idle groups as well, 4,000 that it sends and 4,000 that it answers every 2 to 4 s, which 200,000
// partitions with three replicas make. Both ends of each link are in this process: what is reported is
// half, the share of one node. See docs/scaling.md.
func BenchmarkHundredNodes(b *testing.B) {
	const others = 99
	for _, groups := range []int{0, 2000} {
		b.Run(fmt.Sprintf("led=%d", groups), func(b *testing.B) {
			x := onLoopback(b, 1+others, nil)
			for id, p := range x.peers { // a star: the others' links to each other are not this node's
				if id != 1 {
					p.SetMembers([]int32{1, id})
				}
			}
			for _, p := range x.peers {
				p.Start()
			}
			for id := int32(2); id <= 1+others; id++ {
				for _, up := x.peers[1].Connected(id); !up; _, up = x.peers[1].Connected(id) {
					time.Sleep(10 * time.Millisecond)
				}
			}
			end := make(chan struct{})
			var all sync.WaitGroup
			for g := range groups {
				for f := range 2 {
					to := int32(2 + (2*g+f)%others)
					name := fmt.Sprint("topic-id-of-22-letters/", g, "/", f)
					all.Go(func() { beatSlowly(b, x.peers[1], to, name, end) })
					all.Go(func() { beatSlowly(b, x.peers[to], 1, name+"'", end) })
				}
			}
			time.Sleep(4 * time.Second) // all have sent one
			began, from := cpu(), time.Now()
			for b.Loop() {
				time.Sleep(5 * time.Second)
			}
			b.ReportMetric((cpu()-began).Seconds()/time.Since(from).Seconds()/2, "cpu-s/s")
			close(end)
			all.Wait()
		})
	}
}

func beatSlowly(b *testing.B, p *Peers, to int32, group string, end <-chan struct{}) {
	q, a := &raft.AppendEntriesRequest{RPCHeader: header(p.config.Node), Term: 1}, &raft.AppendEntriesResponse{}
	for {
		select {
		case <-time.After(2*time.Second + rand.N(2*time.Second)):
		case <-end:
			return
		}
		if err := p.Call(b.Context(), to, group, q, a); err != nil || !a.Success {
			b.Error(err, a)
			return
		}
	}
}

// BenchmarkEncodeBeats is a batch of heartbeats as it goes to one peer.
func BenchmarkEncodeBeats(b *testing.B) {
	for _, groups := range []int{3, 40, 6000} {
		b.Run(fmt.Sprint(groups), func(b *testing.B) {
			x := onLoopback(b, 2, nil).start()
			l := x.peers[1].peers[2].link.Load()
			batch := &batch{header: header(1)}
			for g := range groups {
				batch.beats = append(batch.beats, beat{group: fmt.Sprint("topic-id-of-22-letters/", g), term: 3})
			}
			size := 0
			b.ReportAllocs()
			for b.Loop() {
				frame, err := l.encodeBeats(batch)
				if err != nil {
					b.Fatal(err)
				}
				size = len(frame)
				l.mu.Lock()
				delete(l.batches, l.next) // there will be no answer
				l.mu.Unlock()
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}
