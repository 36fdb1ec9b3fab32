package protocol

import (
	"bytes"
	"context"
	"math/rand"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestRecordsArriveWholeAtEverySize sends sizes around every step of a frame's growth, all
// through the same recycled buffers.
func TestRecordsArriveWholeAtEverySize(t *testing.T) {
	var got []byte
	api := Serve(3, 13, func(_ context.Context, q *kmsg.ProduceRequest, _ *kmsg.ProduceResponse) error {
		got = append(got[:0], q.Topics[0].Partitions[0].Records...)
		return nil
	})
	s, addr := startServer(t, Config{Table: NewTable(api)})
	c := dial(t, addr)
	random := rand.New(rand.NewSource(1))
	data := make([]byte, 5<<20)
	random.Read(data)
	for _, around := range []int{0, firstStep, freeStep, 128 << 10, 1 << 20, bulkStep, 2 * bulkStep} {
		for _, off := range []int{-70, -1, 0, 1, 200} {
			n := max(around+off, 0)
			from := random.Intn(len(data) - n)
			q := produceOf(data[from : from+n])
			c.ask(q)
			if !bytes.Equal(got, data[from:from+n]) {
				t.Fatalf("%d bytes arrived damaged", n)
			}
		}
	}
	eventually(t, func() bool { return s.Stats().Queued == 0 })
	if n := s.Stats().FrameBytes; n != 0 {
		t.Errorf("%d bytes held", n)
	}
}

func produceOf(records []byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks = 9, -1
	q.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}}}
	return q
}

func TestKeptFramesAreNotReused(t *testing.T) {
	var mu sync.Mutex
	var kept [][]byte
	api := ServeRequest(3, 13, func(_ context.Context, r *Request, q *kmsg.ProduceRequest, _ *kmsg.ProduceResponse) error {
		r.KeepFrame()
		mu.Lock()
		defer mu.Unlock()
		kept = append(kept, q.Topics[0].Partitions[0].Records)
		return nil
	})
	_, addr := startServer(t, Config{Table: NewTable(api)})
	c := dial(t, addr)
	for i := range 20 {
		c.ask(produceOf(bytes.Repeat([]byte{byte(i)}, 100<<10)))
	}
	for i, b := range kept {
		if !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, 100<<10)) {
			t.Errorf("request %d was overwritten", i)
		}
	}
}

// What a request began goes on when its connection ends before it is waited for: a group may hold its batches.
func TestFramesOfRequestsThatNobodyWaitedForAreNotReused(t *testing.T) {
	var mu sync.Mutex
	var kept [][]byte
	decided := make(chan struct{}, 20)
	api := ServeWait(3, 13, func(_ context.Context, _ *Request, q *kmsg.ProduceRequest, _ *kmsg.ProduceResponse) (func(context.Context), error) {
		mu.Lock()
		kept = append(kept, q.Topics[0].Partitions[0].Records)
		mu.Unlock()
		decided <- struct{}{}
		return func(ctx context.Context) {
			if q.Acks == 1 {
				<-ctx.Done() // the first of a connection: those behind it are not waited for
			}
		}, nil
	})
	s, addr := startServer(t, Config{Table: NewTable(api)})
	for i := range 5 {
		c := dial(t, addr)
		for j := range 3 {
			q := produceOf(bytes.Repeat([]byte{byte(10*i + j)}, 100<<10))
			q.Acks = 1
			c.send(q)
			<-decided
		}
		c.Close()
		eventually(t, func() bool { return s.Stats().Queued == 0 })
	}
	mu.Lock()
	defer mu.Unlock()
	for i, b := range kept {
		if i%3 > 0 && !bytes.Equal(b, bytes.Repeat([]byte{byte(i/3*10 + i%3)}, 100<<10)) {
			t.Errorf("request %d was overwritten", i)
		}
	}
}

func TestOtherAPIsMayKeepTheirBytes(t *testing.T) {
	var kept [][]byte
	api := Serve(0, 2, func(_ context.Context, q *kmsg.SASLAuthenticateRequest, _ *kmsg.SASLAuthenticateResponse) error {
		kept = append(kept, q.SASLAuthBytes)
		return nil
	})
	_, addr := startServer(t, Config{Table: NewTable(api, acceptProduce())})
	c := dial(t, addr)
	for i := range 10 {
		q := kmsg.NewPtrSASLAuthenticateRequest()
		q.SASLAuthBytes = bytes.Repeat([]byte{byte(i)}, 100<<10)
		c.ask(q)
		c.ask(produceOf(make([]byte, 100<<10)))
	}
	for i, b := range kept {
		if !bytes.Equal(b, bytes.Repeat([]byte{byte(i)}, 100<<10)) {
			t.Errorf("request %d was overwritten", i)
		}
	}
}
