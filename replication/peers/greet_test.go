package peers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quorumlog/internal/netfault"
)

// record is a log that can be searched.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

func (r *record) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

// refusal starts two nodes, of which the second is otherwise than the first expects, and returns
// what both have logged.
func refusalOf(t *testing.T, change func(*Config)) (first, second string) {
	var a, b record
	x := inMemory(t, 2, func(c *Config) {
		c.Logger = a.logger()
		if c.Node == 2 {
			c.Logger = b.logger()
			change(c)
		}
	})
	for _, p := range x.all {
		p.Start()
	}
	time.Sleep(5 * time.Second)
	if _, ok := x.all[0].Connected(2); ok {
		t.Fatal("connected")
	}
	return a.String(), b.String()
}

func TestRefusalsAreSentencesOnBothSides(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"another cluster": {func(c *Config) { c.ClusterID = func() string { return "other" } }, "to the cluster other"},
		"another node":    {func(c *Config) { c.Node = 5 }, "is node 5"},
		"the same id":     {func(c *Config) { c.Node, c.Identity = 1, "dir-9" }, "two nodes have the id 1"},
		"not admitted":    {func(c *Config) { c.Admit = func(Info) error { return errors.New("its disk was replaced") } }, "its disk was replaced"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second := refusalOf(t, c.change)
				if !strings.Contains(first, c.want) || !strings.Contains(second, c.want) {
					t.Fatalf("%s\n%s", first, second)
				}
				if n := strings.Count(first, "\n"); n > 40 {
					t.Fatal("lines in 5 s: ", n)
				}
			})
		})
	}
}

func TestASecondNodeWithAnIDIsRefusedWhileTheFirstIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil).start()
		double := New(x.config(2, x.net.Listen(3), func(c *Config) { c.Identity = "dir-3" }))
		defer double.Close()
		double.SetMembers([]int32{1})
		double.Start()
		time.Sleep(5 * time.Second)
		if i, _ := x.peers[1].Connected(2); i.Identity != "dir-2" {
			t.Fatal(i)
		}
		_, err := double.Ask(t.Context(), 1, 9, nil)
		if !errors.Is(err, ErrSameID) || !strings.Contains(err.Error(), "dir-2") || !strings.Contains(err.Error(), "dir-3") {
			t.Fatal(err)
		}
		x.peers[2].Close()
		x.connected(double, 1)
	})
}

func TestACopyOfADataDirectoryIsRefusedWhileTheOriginalLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 2, nil).start()
		duplicate := New(x.config(2, x.net.Listen(3), nil))
		defer duplicate.Close()
		original, _ := x.peers[1].Connected(2)
		duplicate.SetMembers([]int32{1})
		duplicate.Start()
		time.Sleep(5 * time.Second)
		if i, ok := x.peers[1].Connected(2); !ok || i.Incarnation != original.Incarnation {
			t.Fatal(i)
		}
		_, err := duplicate.Ask(t.Context(), 1, 9, nil)
		if !errors.Is(err, ErrSameDirectory) || !strings.Contains(err.Error(), "dir-2") {
			t.Fatal(err)
		}
		x.peers[2].Close()
		x.connected(duplicate, 1)
	})
}

func TestAnUnknownProtocolVersionIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 1, nil).start()
		conn, err := x.net.Dialer(9)(t.Context(), netfault.Address(1))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go writeHandshake(conn, true, hello{min: 7, max: 9}.encode())
		if err := expectMagic(conn); err != nil {
			t.Fatal(err)
		}
		b, err := readHandshake(conn)
		if err != nil {
			t.Fatal(err)
		}
		var w welcome
		if err := w.decode(b); err != nil || !errors.Is(w.refusal.err(), ErrVersion) || !strings.Contains(w.refusal.text, "7 to 9") {
			t.Fatal(err, w)
		}
	})
}

func TestAProbeLearnsTheClusterAndItsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		members := []Member{{1, "dir-1", "a:1"}, {2, "dir-2", "b:1"}}
		var mu sync.Mutex
		var learned []Member
		x := inMemory(t, 2, func(c *Config) {
			if c.Node == 1 {
				c.Members = func() []Member { return members }
				return
			}
			c.ClusterID = nil // it joins
			c.OnMembers = func(_ Info, m []Member) {
				mu.Lock()
				defer mu.Unlock()
				learned = m
			}
		})
		x.peers[1].Start()
		info, got, err := x.peers[2].Probe(t.Context(), netfault.Address(1))
		if err != nil || info.ID != 1 || info.Identity != "dir-1" || info.ClusterID != "cluster" || len(got) != 2 || got[1] != members[1] {
			t.Fatal(err, info, got)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(learned) != 2 {
			t.Fatal(learned)
		}
	})
}

func TestGarbageIsNamedAndLoggedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for sent, want := range map[string]string{
			"GET / HTTP/1.1\r\n\r\n":               "HTTP",
			"\x16\x03\x01\x02\x00\x01\x00\x01\xfc": "TLS",
			"\x00\x00\x00\x20\x00\x12\x00\x04abcd": "Kafka",
			"hello":                                `\"hello\"`,
			magic + "\xff\xff\xff\xff":             "too large",
			magic + "\x00\x00\x00\x02\x80\x80":     "malformed",
		} {
			var r record
			x := inMemory(t, 1, func(c *Config) { c.Logger = r.logger() }).start()
			for range 50 {
				conn, err := x.net.Dialer(9)(t.Context(), netfault.Address(1))
				if err != nil {
					t.Fatal(err)
				}
				conn.Write([]byte(sent))
				conn.SetDeadline(time.Now().Add(time.Second))
				if sent == "hello" {
					conn.Close()
				}
				if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) {
					t.Fatal("it stays open")
				}
				conn.Close()
				synctest.Wait()
			}
			if log := r.String(); !strings.Contains(log, want) || strings.Count(log, "\n") != 1 {
				t.Fatalf("%q: %s", sent, log)
			}
			x.peers[1].Close()
		}
	})
}

func TestASilentConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 1, nil).start()
		conn, err := x.net.Dialer(9)(t.Context(), netfault.Address(1))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		io.Copy(io.Discard, conn)
		if took := time.Since(began); took != x.peers[1].timing.Handshake {
			t.Fatal(took)
		}
	})
}

func TestGarbageAfterTheHandshakeEndsTheLinkAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, garbage := range []string{"\x00\x00\x00\x00", "\x7f\xff\xff\xff\x01", "\x00\x00\x00\x01\x63", "\x00\x00\x00\x03\x02\x01\x09", "\x00\x00\x00\x02\x04\xff", "\x00\x00\x00\x06\x06\xff\xff\xff\xff\xff"} {
			x := inMemory(t, 2, nil).start()
			p := x.peers[1]
			l := p.peers[2].link.Load()
			l.push(&frame{pieces: [][]byte{[]byte(garbage)}})
			<-l.ctx.Done()
			x.connected(p, 2)
			for _, p := range x.peers {
				p.Close()
			}
		}
	})
}
