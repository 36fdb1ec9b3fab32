package replication

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func TestEntriesAndVotesWaitForAGroupThatIsBeingOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := NewTransport(1)
		for group, c := range map[string]struct{ request, answer any }{
			"entries": {&raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 4, PrevLogTerm: 1}, &raft.AppendEntriesResponse{Success: true}},
			"vote":    {&raft.RequestVoteRequest{}, &raft.RequestVoteResponse{Granted: true}},
		} {
			time.AfterFunc(time.Second, func() {
				g := node.Group(group)
				rpc := <-g.Consumer()
				rpc.Respond(c.answer, nil)
			})
			if r, err := node.Deliver(t.Context(), group, c.request, time.Minute); err != nil || r != c.answer {
				t.Errorf("%s: %+v, %v", group, r, err)
			}
			begin := time.Now()
			if _, err := node.Deliver(t.Context(), "never", c.request, time.Minute); !errors.Is(err, errNoGroup) || time.Since(begin) != openPatience {
				t.Errorf("%s: %v after %s", group, err, time.Since(begin))
			}
		}
		for _, r := range []any{&raft.RequestPreVoteRequest{}, &raft.AppendEntriesRequest{Term: 1}} {
			begin := time.Now()
			if _, err := node.Deliver(t.Context(), "never", r, time.Minute); !errors.Is(err, errNoGroup) || time.Since(begin) != 0 {
				t.Errorf("%T: %v after %s", r, err, time.Since(begin))
			}
		}
		if len(node.awaited) > 0 || node.waiting != 0 {
			t.Errorf("left behind: %v, %d", node.awaited, node.waiting)
		}
	})
}
