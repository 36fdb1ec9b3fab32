package protocol

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Answers that grow with what the cluster holds, whatever the size of the request, can take
// megabytes each. Only so many of them exist at one time: such a request is decided when all before
// it on its connection are answered and it has a place, which it gives back once its answer is
// written, or known to be small. A connection whose peer does not take what it asked for is closed
// while others wait.
const (
	heavyPlaces   = 8
	smallAnswer   = 64 << 10        // bytes of an answer that needs no place while it is written
	heavyPatience = 5 * time.Second // for a MiB that others wait for
	heavyInterval = time.Second     // between looks for whom to close
)

// isHeavy says whose answers grow with the cluster. Records are not among them: they are not in
// memory of their own, and what Produce answers is as large as what it asks.
func isHeavy(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.Metadata, kmsg.OffsetFetch, kmsg.DescribeGroups, kmsg.ListGroups, kmsg.DescribeConfigs, kmsg.DescribeLogDirs,
		kmsg.ListPartitionReassignments, kmsg.DescribeProducers, kmsg.DescribeTransactions, kmsg.ListTransactions,
		kmsg.ConsumerGroupDescribe, kmsg.DescribeTopicPartitions, kmsg.DescribeACLs, kmsg.DescribeClientQuotas,
		kmsg.ListConfigResources, kmsg.DescribeUserSCRAMCredentials:
		return true
	default:
		return false
	}
}

type heavyAnswers struct {
	places chan struct{}

	mu      sync.Mutex
	holders map[*Request]struct{}
}

func newHeavyAnswers() heavyAnswers {
	return heavyAnswers{places: make(chan struct{}, heavyPlaces), holders: map[*Request]struct{}{}}
}

var errStuck = errors.New("others waited for what the peer did not take")

// enterHeavy takes a place for a request's answer; an error is why there is none any more.
func (s *Server) enterHeavy(ctx context.Context, r *Request) error {
	h := &s.heavy
	if !h.tryEnter() {
		look := time.NewTicker(heavyInterval)
		defer look.Stop()
	waiting:
		for {
			select {
			case h.places <- struct{}{}:
				break waiting
			case <-look.C:
				s.closeStuck()
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holders[r] = struct{}{}
	r.heavy = true
	return nil
}

func (h *heavyAnswers) tryEnter() bool {
	select {
	case h.places <- struct{}{}:
		return true
	default:
		return false
	}
}

// leaveHeavy gives the place back where the request has one. Only the writer calls it.
func (s *Server) leaveHeavy(r *Request) {
	if !r.heavy {
		return
	}
	r.heavy = false
	h := &s.heavy
	h.mu.Lock()
	delete(h.holders, r)
	h.mu.Unlock()
	<-h.places
}

// turn passes a request between its connection's goroutines: the writer tells that it has come to
// it, and waits until the reader has decided it.
type turn struct{ come, decided chan struct{} }

// decideInTurn decides a request whose answer may be heavy.
func (c *Conn) decideInTurn(r *Request) {
	r.turn = &turn{make(chan struct{}), make(chan struct{})}
	defer close(r.turn.decided)
	c.queue <- r
	<-r.turn.come // which does not fail: the writer goes through its queue to the end
	if c.srv.enterHeavy(c.ctx, r) == nil {
		c.handle(r)
	}
}

// take is the writer's side.
func (t *turn) take() {
	close(t.come)
	<-t.decided
}

// closeStuck closes the connections that hold places and do not take what they asked for.
func (s *Server) closeStuck() {
	h := &s.heavy
	h.mu.Lock()
	var stuck []*Conn
	for r := range h.holders {
		if since := r.Conn.out.since.Load(); since != 0 && time.Since(time.Unix(0, since)) > heavyPatience {
			stuck = append(stuck, r.Conn)
		}
	}
	h.mu.Unlock()
	for _, c := range stuck {
		if c.ctx.Err() == nil {
			s.stats.stuck.Add(1)
			s.slow.log(s.log, slog.LevelWarn, "closing a connection whose client does not take its answer", "remote", c.RemoteAddr())
			c.abort(errStuck)
		}
	}
}
