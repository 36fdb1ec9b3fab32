package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/internal/netfault"
)

func TestEveryPairOfNodesIsConnectedOnce(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			x := inMemory(t, 5, nil).start()
			time.Sleep(time.Second)
			for a, p := range x.peers {
				if len(p.conns) != 0 {
					t.Fatal("connections beside the links")
				}
				for b, q := range x.peers {
					if a >= b {
						continue
					}
					here, there := p.peers[b], q.peers[a]
					if here.link.Load() == nil || there.link.Load() == nil || here.dialled == there.dialled {
						t.Fatalf("nodes %d and %d: %v %v", a, b, here.dialled, there.dialled)
					}
				}
			}
		})
	}
}

func TestRaftsRequestsTravel(t *testing.T) {
	x := onLoopback(t, 2, nil)
	arrived := make(chan *raft.AppendEntriesRequest, 1)
	x.fakes[2].deliver = func(_ context.Context, group string, request any) (any, error) {
		switch r := request.(type) {
		case *raft.AppendEntriesRequest:
			if isHeartbeat(r) {
				return &raft.AppendEntriesResponse{Term: r.Term + 1}, nil
			}
			c := *r
			c.Entries, c.ID = nil, bytes.Clone(r.ID)
			for _, e := range r.Entries {
				d := *e
				d.Data = bytes.Clone(e.Data)
				c.Entries = append(c.Entries, &d)
			}
			arrived <- &c
			return &raft.AppendEntriesResponse{Term: 3, LastLog: 12, Success: group == "g"}, nil
		case *raft.TimeoutNowRequest:
			return nil, errors.New("no")
		}
		return yes(request)
	}
	x.start()
	p, ctx := x.peers[1], t.Context()
	large := bytes.Repeat([]byte("x"), 1<<20)
	ask := entries(3, 10, 3, 5)
	ask.Entries[1].Data = large
	ask.Entries[0].Type = raft.LogNoop
	var a raft.AppendEntriesResponse
	if err := p.Call(ctx, 2, "g", ask, &a); err != nil || !a.Success || a.Term != 3 || a.LastLog != 12 {
		t.Fatal(err, a)
	}
	got := <-arrived
	if len(got.Entries) != 3 || !bytes.Equal(got.Entries[1].Data, large) || len(got.Entries[2].Data) != 5 ||
		got.Entries[0].Type != raft.LogNoop || got.Entries[2].Index != 13 || got.PrevLogEntry != 10 || string(got.ID) != "1/dir-1" {
		t.Fatalf("%+v", got)
	}
	p.progress.mu.Lock()
	match := p.progress.groups["g"].peers[2].match
	p.progress.mu.Unlock()
	if match != 13 {
		t.Fatal(match)
	}
	var v raft.RequestVoteResponse
	if err := p.Call(ctx, 2, "g", &raft.RequestVoteRequest{RPCHeader: header(1), Term: 4}, &v); err != nil || !v.Granted {
		t.Fatal(err, v)
	}
	var pv raft.RequestPreVoteResponse
	if err := p.Call(ctx, 2, "g", &raft.RequestPreVoteRequest{RPCHeader: header(1), Term: 4}, &pv); err != nil || !pv.Granted {
		t.Fatal(err, pv)
	}
	var e *Error
	if err := p.Call(ctx, 2, "g", &raft.TimeoutNowRequest{RPCHeader: header(1)}, &raft.TimeoutNowResponse{}); !errors.As(err, &e) || e.Text != "no" {
		t.Fatal(err)
	}
	var h raft.AppendEntriesResponse
	if err := p.Call(ctx, 2, "g", &raft.AppendEntriesRequest{RPCHeader: header(1), Term: 5}, &h); err != nil || h.Success || h.Term != 6 {
		t.Fatal(err, h)
	}
}

func TestHeartbeatsOfManyGroupsTravelTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil)
		x.fakes[2].deliver = func(_ context.Context, group string, request any) (any, error) {
			if group == "absent" {
				return nil, errors.New("no such group")
			}
			return yes(request)
		}
		x.start()
		began := time.Now()
		var all sync.WaitGroup
		for g := range 1000 {
			all.Go(func() {
				var a raft.AppendEntriesResponse
				q := &raft.AppendEntriesRequest{RPCHeader: header(1), Term: uint64(g + 1)}
				if err := x.peers[1].Call(t.Context(), 2, fmt.Sprint(g), q, &a); err != nil || !a.Success || a.Term != q.Term {
					t.Error(err, a)
				}
			})
		}
		all.Go(func() {
			q := &raft.AppendEntriesRequest{RPCHeader: header(1), Term: 1}
			if err := x.peers[1].Call(t.Context(), 2, "absent", q, &raft.AppendEntriesResponse{}); err == nil {
				t.Error("an absent group is alive")
			}
		})
		all.Wait()
		if took := time.Since(began); took != x.peers[1].timing.Round {
			t.Fatal("more than one round: ", took)
		}
		if l := x.peers[1].peers[2].link.Load(); l.next != 1 {
			t.Fatal("more than one frame: ", l.next)
		}
	})
}

func TestHeartbeatsWaitForAPeerThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil)
		x.fakes[2].deliver = func(_ context.Context, _ string, request any) (any, error) {
			time.Sleep(100 * time.Millisecond)
			return yes(request)
		}
		x.start()
		var all sync.WaitGroup
		for g := range 100 {
			all.Go(func() {
				time.Sleep(time.Duration(g) * 20 * time.Millisecond)
				q := &raft.AppendEntriesRequest{RPCHeader: header(1), Term: 1}
				if err := x.peers[1].Call(t.Context(), 2, fmt.Sprint(g), q, &raft.AppendEntriesResponse{}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}

func TestAnAppendEntriesOutlivesItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil)
		held := make(chan struct{}, 10)
		x.fakes[2].deliver = func(ctx context.Context, _ string, request any) (any, error) {
			held <- struct{}{}
			if len(held) == 1 { // the first one's answer is lost
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return yes(request)
		}
		x.start()
		failed := make(chan error, 2)
		go func() {
			failed <- x.peers[1].Call(t.Context(), 2, "g", entries(1, 0, 1, 100), &raft.AppendEntriesResponse{})
		}()
		synctest.Wait()
		x.net.Drop(1, 2)
		if err := <-failed; err != nil || len(held) != 2 {
			t.Fatal(err, len(held))
		}
		<-held
		<-held
		go func() {
			failed <- x.peers[1].Call(t.Context(), 2, "g", &raft.RequestVoteRequest{Term: 2}, &raft.RequestVoteResponse{})
		}()
		synctest.Wait()
		x.net.Drop(1, 2)
		if err := <-failed; !errors.Is(err, ErrInterrupted) {
			t.Fatal("a vote is asked for once: ", err)
		}
	})
}

func TestEntriesWaitForANodeThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil).start()
		x.net.Cut(1, 2)
		x.net.Drop(1, 2)
		synctest.Wait()
		began := time.Now()
		time.AfterFunc(7*time.Second, func() { x.net.Mend(1, 2) })
		err := x.peers[1].Call(t.Context(), 2, "g", entries(1, 0, 1, 1), &raft.AppendEntriesResponse{})
		if took := time.Since(began); err != nil || took < 7*time.Second || took > 8*time.Second {
			t.Fatal(err, took)
		}
		x.peers[2].Close()
		synctest.Wait()
		began = time.Now()
		err = x.peers[1].Call(t.Context(), 2, "g", entries(1, 0, 1, 1), &raft.AppendEntriesResponse{})
		if took := time.Since(began); !errors.Is(err, ErrUnreachable) || took > 10*time.Second {
			t.Fatal(err, took)
		}
	})
}

func TestARequestToNobodyFailsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil).start()
		x.peers[2].Close()
		synctest.Wait()
		began := time.Now()
		err := x.peers[1].Call(t.Context(), 2, "g", &raft.RequestVoteRequest{Term: 2}, &raft.RequestVoteResponse{})
		if took := time.Since(began); !errors.Is(err, ErrUnreachable) || took > time.Second {
			t.Fatal(err, took)
		}
		began = time.Now()
		err = x.peers[1].Call(t.Context(), 2, "g", &raft.AppendEntriesRequest{Term: 1}, &raft.AppendEntriesResponse{})
		if took := time.Since(began); !errors.Is(err, ErrUnreachable) || took > time.Second {
			t.Fatal(err, took)
		}
	})
}

func TestASlowGroupHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 3, nil)
		x.fakes[2].deliver = func(ctx context.Context, group string, request any) (any, error) {
			if group == "slow" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return yes(request)
		}
		x.start()
		call := func(to int32, group string) error {
			return x.peers[1].Call(t.Context(), to, group, entries(1, 0, 1, 1), &raft.AppendEntriesResponse{})
		}
		go call(2, "slow")
		synctest.Wait()
		began := time.Now()
		for _, to := range []int32{2, 3} {
			if err := call(to, "fast"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Fatal(took)
		}
	})
}

func TestAStuckPeerIsGivenUpAndBoundsWhatWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 3, func(c *Config) { c.Limits.Window = 1 << 20 }).start()
		x.net.Cut(1, 2)
		var all sync.WaitGroup
		for g := range 100 {
			all.Go(func() {
				if err := x.peers[1].Call(t.Context(), 2, fmt.Sprint(g), entries(1, 0, 1, 100_000), &raft.AppendEntriesResponse{}); err == nil {
					t.Error("answered across a cut")
				}
			})
		}
		synctest.Wait()
		l := x.peers[1].peers[2].link.Load()
		if l.unheard > 1<<20 || l.unheard < 1<<19 {
			t.Fatal("bytes without an answer: ", l.unheard)
		}
		if err := x.peers[1].Call(t.Context(), 3, "g", entries(1, 0, 1, 1), &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		x.net.Mend(1, 2)
		x.connected(x.peers[1], 2)
	})
}

func TestAVoteDoesNotWaitForEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, func(c *Config) { c.Limits.Window = 1 << 20 })
		x.fakes[2].deliver = func(ctx context.Context, _ string, request any) (any, error) {
			if _, ok := request.(*raft.AppendEntriesRequest); ok {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return yes(request)
		}
		x.start()
		for g := range 100 {
			go x.peers[1].Call(t.Context(), 2, fmt.Sprint(g), entries(1, 0, 1, 100_000), &raft.AppendEntriesResponse{})
		}
		synctest.Wait()
		began := time.Now()
		var v raft.RequestVoteResponse
		if err := x.peers[1].Call(t.Context(), 2, "200", &raft.RequestVoteRequest{Term: 2}, &v); err != nil || !v.Granted {
			t.Fatal(err, v)
		}
		if took := time.Since(began); took != 0 {
			t.Fatal(took)
		}
	})
}

func TestServicesAnswerWithPayloadOrError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil)
		x.peers[2].Handle(7, func(ctx context.Context, from int32, payload []byte) ([]byte, error) {
			switch string(payload) {
			case "":
				return nil, &Error{300, "nothing"}
			case "slow":
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return append(payload, byte('0'+from)), nil
		})
		x.start()
		p := x.peers[1]
		if got, err := p.Ask(t.Context(), 2, 7, []byte("hello")); err != nil || string(got) != "hello1" {
			t.Fatal(err, string(got))
		}
		var e *Error
		if _, err := p.Ask(t.Context(), 2, 7, nil); !errors.As(err, &e) || e.Code != 300 || e.Text != "nothing" {
			t.Fatal(err)
		}
		if _, err := p.Ask(t.Context(), 2, 8, nil); !errors.As(err, &e) || e.Code != CodeNoService {
			t.Fatal(err)
		}
		if _, err := p.Ask(t.Context(), 9, 8, nil); !errors.Is(err, ErrUnreachable) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Ask(ctx, 2, 7, []byte("slow")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		synctest.Wait()
		if l := p.peers[2].link.Load(); l.unheard != 0 || len(l.calls) != 0 {
			t.Fatal("a call that was given up keeps its room: ", l.unheard)
		}
	})
}

func TestPublishedStateReachesPeersInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 3, nil)
		var mu sync.Mutex
		seen, fulls, all := "", 0, ""
		x.peers[2].OnState(func(from int32, full bool, payload []byte) {
			mu.Lock()
			defer mu.Unlock()
			if full {
				fulls++
				seen = ""
			}
			seen += string(payload)
		})
		x.start()
		publish := func(s string) {
			mu.Lock()
			all += s
			mu.Unlock()
			x.peers[1].Publish([]byte(s), func() []byte {
				mu.Lock()
				defer mu.Unlock()
				return []byte(all)
			})
			synctest.Wait()
		}
		for i := range 50 {
			publish(fmt.Sprint(i, " "))
		}
		if seen != all || fulls != 1 {
			t.Fatal(seen, fulls)
		}
		x.net.Drop(1, 2)
		publish("offline ")
		x.connected(x.peers[1], 2)
		synctest.Wait()
		if seen != all || fulls != 2 {
			t.Fatal(seen, fulls)
		}
	})
}

// A group whose answer did not come in time may be at the request yet.
func TestARequestThatFailedIsLeftAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil)
		var held *raft.AppendEntriesRequest
		x.fakes[2].deliver = func(_ context.Context, group string, request any) (any, error) {
			if group == "failing" {
				held = request.(*raft.AppendEntriesRequest)
				return nil, errors.New("not in time")
			}
			return yes(request)
		}
		x.start()
		send := func(group string, prev uint64, data byte) error {
			q := entries(7, prev, 2, 10)
			for _, e := range q.Entries {
				e.Data = bytes.Repeat([]byte{data}, 10)
			}
			return x.peers[1].Call(t.Context(), 2, group, q, &raft.AppendEntriesResponse{})
		}
		if err := send("well", 50, 'a'); err != nil {
			t.Fatal(err)
		}
		if err := send("failing", 20, 'b'); err == nil {
			t.Fatal("no error")
		}
		for range 3 {
			if err := send("well", 52, 'c'); err != nil {
				t.Fatal(err)
			}
		}
		if held.PrevLogEntry != 20 || string(held.ID) != "1/dir-1" || len(held.Entries) != 2 || held.Entries[1].Index != 22 || string(held.Entries[1].Data) != "bbbbbbbbbb" {
			t.Fatalf("%+v %+v", held, held.Entries[1])
		}
	})
}

func TestCommitIndexesReachFollowersWithinARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil)
		got := make(chan *raft.AppendEntriesRequest, 10)
		x.fakes[2].deliver = func(_ context.Context, group string, request any) (any, error) {
			if r := request.(*raft.AppendEntriesRequest); len(r.Entries) == 0 && group == "g" {
				got <- r
			}
			return yes(request)
		}
		x.start()
		p := x.peers[1]
		p.Committed("g", 3, 5) // nobody has acknowledged anything
		if err := p.Call(t.Context(), 2, "g", entries(3, 10, 2, 1), &raft.AppendEntriesResponse{}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		p.Committed("g", 3, 20)
		r := <-got
		if r.LeaderCommitIndex == 5 { // a beat may have come in between
			r = <-got
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Fatal(took)
		}
		if r.Term != 3 || r.PrevLogEntry != 12 || r.PrevLogTerm != 3 || r.LeaderCommitIndex != 12 || len(r.Entries) != 0 || string(r.Addr) != "1" || string(r.ID) != "1/dir-1" {
			t.Fatalf("%+v", r)
		}
		time.Sleep(time.Second)
		if len(got) != 0 {
			t.Fatal("told twice")
		}
		p.Committed("g", 2, 30) // an earlier term's
		time.Sleep(time.Second)
		if len(got) != 0 {
			t.Fatal("told of another term")
		}
		x.net.Drop(1, 2)
		if r := <-got; r.LeaderCommitIndex != 12 {
			t.Fatal("not told again over a new connection")
		}
	})
}

func TestAnAddressMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil)
		var mu sync.Mutex
		where := "node-77:1"
		x.peers[1].config.Resolve = func(int32) string {
			mu.Lock()
			defer mu.Unlock()
			return where
		}
		x.peers[2].config.Resolve = func(int32) string { return "" }
		for _, p := range x.peers {
			p.Start()
		}
		time.Sleep(time.Second)
		if _, ok := x.peers[1].Connected(2); ok {
			t.Fatal("connected to nowhere")
		}
		mu.Lock()
		where = netfault.Address(2)
		mu.Unlock()
		x.connected(x.peers[2], 1)
	})
}
