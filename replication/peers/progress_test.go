package peers

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// An idle group's requests are not sent only while it is certain that they say nothing new.
func TestOnlyWhatAFollowerHasConfirmedIsSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link1 := &link{peer: &peer{node: 2}}
		link2 := &link{peer: link1.peer}
		yes, no := &raft.AppendEntriesResponse{Term: 5, Success: true}, &raft.AppendEntriesResponse{Term: 5}
		entries := &raft.AppendEntriesRequest{Term: 5, PrevLogEntry: 7, PrevLogTerm: 4, Entries: []*raft.Log{{Index: 8, Term: 5}}, LeaderCommitIndex: 7}
		request := func(prev, prevTerm, commit uint64) *raft.AppendEntriesRequest {
			return &raft.AppendEntriesRequest{Term: 5, PrevLogEntry: prev, PrevLogTerm: prevTerm, LeaderCommitIndex: commit}
		}
		beat := []beat{{group: "g", term: 5, now: 5, alive: true}}
		for _, c := range []struct {
			name string
			do   func(p *progress)
			r    *raft.AppendEntriesRequest
			want bool
		}{
			{"what it has confirmed", func(*progress) {}, request(8, 5, 7), true},
			{"entries", func(*progress) {}, entries, false},
			{"a commit index that it was told, but has not confirmed", func(p *progress) { p.committed("g", 5, 8); p.due() }, request(8, 5, 8), false},
			{"a commit index that it has confirmed", func(p *progress) { p.answered(link1, "g", request(8, 5, 8), yes) }, request(8, 5, 8), true},
			{"another entry", func(*progress) {}, request(7, 4, 7), false},
			{"the entry of another term", func(*progress) {}, request(8, 4, 7), false},
			{"another term", func(p *progress) { p.committed("g", 6, 8) }, request(8, 5, 7), false},
			{"after a refusal", func(p *progress) { p.answered(link1, "g", request(8, 5, 7), no) }, request(8, 5, 7), false},
			{"over another connection", func(p *progress) { p.answered(link2, "g", request(8, 5, 7), yes) }, request(8, 5, 7), false},
			{"after a silence", func(*progress) { time.Sleep(freshContact) }, request(8, 5, 7), false},
			{"after a heartbeat", func(p *progress) { time.Sleep(freshContact); p.beaten(2, beat, time.Now()) }, request(8, 5, 7), true},
		} {
			p := &progress{}
			p.init()
			p.answered(link1, "g", entries, yes)
			c.do(p)
			if got := p.settled(link1, "g", c.r); got != c.want {
				t.Errorf("%s: settled %v", c.name, got)
			}
		}
	})
}
