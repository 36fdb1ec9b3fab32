package protocol

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// largeMetadata answers Metadata with 16 MB, more than a socket takes.
func largeMetadata(decided func()) API {
	return Serve(0, 13, func(_ context.Context, _ *kmsg.MetadataRequest, s *kmsg.MetadataResponse) error {
		decided()
		name := strings.Repeat("n", 32_000)
		s.Topics = make([]kmsg.MetadataResponseTopic, 500)
		for i := range s.Topics {
			s.Topics[i].Topic = &name
		}
		return nil
	})
}

func metadata() *kmsg.MetadataRequest {
	r := kmsg.NewPtrMetadataRequest()
	r.Version = 1
	return r
}

// Readers that take nothing hold no more than the places for heavy answers, and lose those as soon
// as another client wants one.
func TestHeavyAnswersThatNobodyTakesAreBounded(t *testing.T) {
	var decided atomic.Int32
	s, addr := startServer(t, Config{Table: NewTable(serveHeartbeats(), largeMetadata(func() { decided.Add(1) }))})
	for range 3 * heavyPlaces {
		c := dial(t, addr)
		c.send(metadata(), metadata(), metadata()) // and reads nothing
	}
	eventually(t, func() bool { return decided.Load() == heavyPlaces })
	dial(t, addr).ask(heartbeat(1)) // small ones pass
	if n := decided.Load(); n != heavyPlaces {
		t.Errorf("%d answers at one time", n)
	}
	good := dial(t, addr)
	good.ask(metadata())
	if s.Stats().Stuck == 0 {
		t.Error("nobody was closed")
	}
}

// A heavy request behind one that waits has no place until its turn.
func TestAHeavyRequestWaitsForItsTurnWithoutAPlace(t *testing.T) {
	w := newWaiting()
	var decided atomic.Int32
	s, addr := startServer(t, Config{Table: NewTable(w.api(), largeMetadata(func() { decided.Add(1) }))})
	for range 2 * heavyPlaces {
		c := dial(t, addr)
		c.send(fetch(11), metadata())
	}
	eventually(t, func() bool { return s.Stats().Queued == 4*heavyPlaces })
	if n := decided.Load(); n != 0 {
		t.Fatalf("%d were decided before what came first was answered", n)
	}
	dial(t, addr).ask(metadata())
	close(w.open)
}

func TestWhoHoldsMemoryThatOthersWaitForHasLessTime(t *testing.T) {
	inBubble(t, Config{Table: NewTable(echoAPIs()...), FrameBudget: 8 << 20}, func(s *Server, c net.Conn) {
		head := append([]byte{0, 0x80, 0, 0}, headerOf(0, 3, false)...) // 8 MiB: 158 s when nobody waits
		c.Write(head)
		c.Write(make([]byte, 2*freeStep))
		waits := make(chan bool)
		go func() {
			_, ok := s.frames.acquire(1, nil, s.draining)
			waits <- ok
		}()
		begin := time.Now()
		for {
			if _, err := c.Write([]byte{0}); err != nil {
				break
			}
			time.Sleep(5 * time.Second)
		}
		if d := time.Since(begin); d < 25*time.Second || d > 40*time.Second {
			t.Errorf("given up after %v", d)
		}
		if !<-waits {
			t.Error("who waited got nothing")
		}
	})
}
