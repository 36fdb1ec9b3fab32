package peers

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// cpu is the time that this process has computed so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppendEntries replicates entries of 1 MiB in all over loopback; "sockets" is the floor:
// the same bytes through a plain connection. The CPU time is that of both ends.
func BenchmarkAppendEntries(b *testing.B) {
	for _, size := range []int{1 << 20, 16 << 10} {
		b.Run(fmt.Sprintf("entry=%d", size), func(b *testing.B) {
			x := onLoopback(b, 2, nil).start()
			q := entries(1, 0, 1<<20/size, size)
			perByte(b, func() error {
				return x.peers[1].Call(b.Context(), 2, "g", q, &raft.AppendEntriesResponse{})
			})
		})
	}
	b.Run("sockets", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		go answerEach(l)
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		head, body, answer := make([]byte, 40), make([]byte, 1<<20), make([]byte, 8)
		perByte(b, func() error {
			pieces := net.Buffers{head, body}
			if _, err := pieces.WriteTo(c); err != nil {
				return err
			}
			_, err := io.ReadFull(c, answer)
			return err
		})
	})
}

func answerEach(l net.Listener) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	for buf := make([]byte, 1<<20+40); ; {
		if _, err := io.ReadFull(c, buf); err != nil {
			return
		}
		c.Write(buf[:8])
	}
}

// perByte runs f, which moves 1 MiB.
func perByte(b *testing.B, f func() error) {
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	began := cpu()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu()-began).Seconds()/(float64(b.N)*(1<<20)/1e9), "cpu-s/GB")
}

// BenchmarkIdleHeartbeats plays what Raft does for groups that are idle, on three nodes in one
// process: for each follower a heartbeat every 300 to 600 ms. "timers" is that without a network.
func BenchmarkIdleHeartbeats(b *testing.B) {
	for _, network := range []bool{false, true} {
		b.Run(map[bool]string{false: "timers", true: "peers"}[network], func(b *testing.B) {
			idle(b, network, 5000)
		})
	}
}

func idle(b *testing.B, network bool, groups int) {
	x := onLoopback(b, 3, nil).start()
	end := make(chan struct{})
	var all sync.WaitGroup
	for g := range groups {
		leader := int32(g%3) + 1
		for to := range x.peers {
			if to != leader {
				all.Go(func() { beatOn(b, x.peers[leader], to, fmt.Sprint(g), network, end) })
			}
		}
	}
	time.Sleep(time.Second)
	began, from := cpu(), time.Now()
	for b.Loop() {
		time.Sleep(3 * time.Second)
	}
	b.ReportMetric((cpu()-began).Seconds()/time.Since(from).Seconds(), "cpu-s/s")
	close(end)
	all.Wait()
}

func beatOn(b *testing.B, p *Peers, to int32, group string, network bool, end <-chan struct{}) {
	q, a := &raft.AppendEntriesRequest{RPCHeader: header(p.config.Node), Term: 1}, &raft.AppendEntriesResponse{}
	for {
		select {
		case <-time.After(300*time.Millisecond + rand.N(300*time.Millisecond)):
		case <-end:
			return
		}
		if !network {
			continue
		}
		if err := p.Call(b.Context(), to, group, q, a); err != nil || !a.Success {
			b.Error(err, a)
			return
		}
	}
}

// BenchmarkHeartbeatAllocations is one round of heartbeats of 1,000 groups.
func BenchmarkHeartbeatAllocations(b *testing.B) {
	x := onLoopback(b, 2, func(c *Config) { c.Timing.Round = time.Millisecond }).start()
	start, done := make([]chan struct{}, 1000), make(chan error)
	for g := range start {
		start[g] = make(chan struct{})
		go func() {
			q, a := &raft.AppendEntriesRequest{RPCHeader: header(1), Term: 1}, &raft.AppendEntriesResponse{}
			for range start[g] {
				done <- x.peers[1].Call(b.Context(), 2, fmt.Sprint("group-", g), q, a)
			}
		}()
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range start {
			s <- struct{}{}
		}
		for range start {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, s := range start {
		close(s)
	}
}

// BenchmarkAsk is one small call of a service, there and back.
func BenchmarkAsk(b *testing.B) {
	x := onLoopback(b, 2, nil)
	x.peers[2].Handle(1, echo)
	x.start()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := x.peers[1].Ask(b.Context(), 2, 1, []byte("x")); err != nil {
			b.Fatal(err)
		}
	}
}
