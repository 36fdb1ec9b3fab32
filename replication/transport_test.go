package replication

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func TestEntriesWaitForAGroupThatIsBeingOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := NewTransport(1)
		time.AfterFunc(time.Second, func() {
			g := node.Group("g")
			rpc := <-g.Consumer()
			rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
		})
		entries := &raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 4, PrevLogTerm: 1}
		r, err := node.Deliver(t.Context(), "g", entries)
		if err != nil || !r.(*raft.AppendEntriesResponse).Success {
			t.Errorf("%+v, %v", r, err)
		}
		begin := time.Now()
		if _, err := node.Deliver(t.Context(), "never", entries); !errors.Is(err, errNoGroup) || time.Since(begin) != openPatience {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		begin = time.Now()
		if _, err := node.Deliver(t.Context(), "never", &raft.RequestVoteRequest{}); !errors.Is(err, errNoGroup) || time.Since(begin) != 0 {
			t.Errorf("a vote: %v after %s", err, time.Since(begin))
		}
	})
}
