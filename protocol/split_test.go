package protocol

import (
	"bytes"
	"context"
	"math/rand"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// sizesOfRecords are around every size at which records are treated differently; -1 is null.
var sizesOfRecords = []int{-1, 0, 1, 70, splitBytes - 1, splitBytes, splitBytes + 1, freeStep - 20, freeStep, 3 * freeStep, bulkStep - 1, bulkStep, bulkStep + 1}

// manyPartitions is a Produce request whose records are of such sizes, in an order of random's.
func manyPartitions(random *rand.Rand, version int16, records int) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks = version, -1
	if random.Intn(2) == 0 {
		q.TransactionID = kmsg.StringPtr("a transaction")
	}
	for range 2 {
		t := kmsg.ProduceRequestTopic{Topic: "topic"}
		if version >= 13 {
			t.Topic, t.TopicID = "", [16]byte{15: byte(random.Intn(256))}
		}
		for i := range records {
			p := kmsg.ProduceRequestTopicPartition{Partition: int32(i)}
			if n := sizesOfRecords[random.Intn(len(sizesOfRecords))]; n >= 0 {
				p.Records = bytes.Repeat([]byte{byte(random.Intn(256))}, n)
			}
			if version >= 9 && random.Intn(3) == 0 {
				p.UnknownTags.Set(uint32(100+i), []byte("a tag"))
			}
			t.Partitions = append(t.Partitions, p)
		}
		q.Topics = append(q.Topics, t)
	}
	return q
}

// keeper serves Produce and passes on what it got, whole and for good.
func keeper(got chan *kmsg.ProduceRequest) API {
	return ServeRequest(3, 13, func(_ context.Context, r *Request, q *kmsg.ProduceRequest, _ *kmsg.ProduceResponse) error {
		r.KeepFrame()
		got <- q
		return nil
	})
}

func TestSplitRequestsAreDecodedAsTheyWereSent(t *testing.T) {
	got := make(chan *kmsg.ProduceRequest, 1)
	s, addr := startServer(t, Config{Table: NewTable(keeper(got))})
	c := dial(t, addr)
	random := rand.New(rand.NewSource(2))
	for _, version := range []int16{3, 8, 9, 12, 13} {
		for range 3 {
			sent := manyPartitions(random, version, 6)
			c.ask(sent)
			want := kmsg.NewPtrProduceRequest()
			want.Version = version
			if err := want.ReadFrom(sent.AppendTo(nil)); err != nil {
				t.Fatal(err)
			}
			if q := <-got; !reflect.DeepEqual(q, want) {
				t.Fatalf("version %d arrived otherwise than it was sent", version)
			}
		}
	}
	eventually(t, func() bool { return s.Stats().FrameBytes == 0 })
}

// TestDamagedSplitRequestsAreRefusedAsWholeOnesAre changes bytes between the records, and cuts.
func TestDamagedSplitRequestsAreRefusedAsWholeOnesAre(t *testing.T) {
	got := make(chan *kmsg.ProduceRequest, 1)
	s, addr := startServer(t, Config{Table: NewTable(keeper(got), serveHeartbeats())})
	random := rand.New(rand.NewSource(3))
	refused := 0
	for range 300 {
		version := int16(3 + random.Intn(11))
		sent := kmsg.NewPtrProduceRequest()
		sent.Version = version
		for range 2 {
			t := kmsg.ProduceRequestTopic{Topic: "topic"}
			for range 2 {
				t.Partitions = append(t.Partitions, kmsg.ProduceRequestTopicPartition{Records: make([]byte, 20<<10)})
			}
			sent.Topics = append(sent.Topics, t)
		}
		frame := formatter.AppendRequest(nil, sent, 0)
		body := len(frame) - len(sent.AppendTo(nil))
		between := []int{body, body + 20<<10, body + 40<<10, body + 60<<10}[random.Intn(4)]
		frame[min(between+random.Intn(80), len(frame)-1)] = byte(random.Intn(256))

		want := kmsg.NewPtrProduceRequest()
		want.Version = version
		_, err := walkProduce(version, version >= 9, frame[body:])
		if err == nil {
			err = want.ReadFrom(bytes.Clone(frame[body:]))
		}
		c := dial(t, addr)
		if _, e := c.Write(frame); err == nil && e != nil {
			t.Fatal(e)
		}
		if err != nil {
			refused++
			c.wantClosed()
			continue
		}
		c.receive()
		if q := <-got; !reflect.DeepEqual(q, want) {
			t.Fatalf("version %d arrived otherwise than whole", version)
		}
		c.Close()
	}
	if refused == 0 || refused == 300 {
		t.Errorf("%d of 300 were refused", refused)
	}
	eventually(t, func() bool { return s.Stats().FrameBytes == 0 && s.Stats().Queued == 0 })
}

// TestRecordsThatAreFreedMakeRoomForOtherRequests has two connections share a budget for one request.
func TestRecordsThatAreFreedMakeRoomForOtherRequests(t *testing.T) {
	const records = 400 << 10
	begun, free, end := make(chan *Request, 2), make(chan int), make(chan struct{})
	api := ServeWait(3, 13, func(_ context.Context, r *Request, _ *kmsg.ProduceRequest, _ *kmsg.ProduceResponse) (func(context.Context), error) {
		return func(context.Context) {
			begun <- r
			for i := range free {
				r.FreeRecords(i)
				begun <- r
			}
			<-end
		}, nil
	})
	s, addr := startServer(t, Config{Table: NewTable(api), FrameBudget: 1300 << 10})
	q := produceOf(make([]byte, records))
	q.Topics[0].Partitions = append(q.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Records: make([]byte, 70)}, q.Topics[0].Partitions[0])
	first, second := dial(t, addr), dial(t, addr)
	first.send(q)
	<-begun
	held := s.Stats().FrameBytes
	second.send(q)
	eventually(t, func() bool { return s.Stats().BudgetWaits == 1 })
	free <- 1 // not in memory of its own
	<-begun
	if n := s.Stats().FrameBytes; n != held {
		t.Errorf("%d bytes held, before %d", n, held)
	}
	free <- 2
	<-begun
	if r := <-begun; r.Conn.RemoteAddr().String() != second.LocalAddr().String() {
		t.Error("the second request has not come")
	}
	if n := s.Stats().FrameBytes; n != 2*held-records {
		t.Errorf("%d bytes held by two requests of %d, of one of which %d are free", n, held, records)
	}
	close(free)
	close(end)
	first.receive()
	second.receive()
	eventually(t, func() bool { return s.Stats().FrameBytes == 0 && s.Stats().Queued == 0 })
}

// received is a connection on which some bytes have arrived, and then its end.
type received struct {
	net.Conn
	r *bytes.Reader
}

func (c received) Read(b []byte) (int, error)      { return c.r.Read(b) }
func (c received) SetReadDeadline(time.Time) error { return nil }

// FuzzSplit has what is read in parts decoded as the same bytes are when they are read whole. Most of
// the records, zeros, are put in where at says, so that what is varied is short.
func FuzzSplit(f *testing.F) {
	zeros := make([]byte, freeStep+splitBytes)
	for version := int16(splitVersion); version <= 13; version++ {
		q := kmsg.NewPtrProduceRequest()
		q.Version = version
		for _, records := range [][]byte{[]byte("few"), zeros, nil} {
			q.Topics = append(q.Topics, kmsg.ProduceRequestTopic{Topic: "topic", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: records}}})
		}
		frame := formatter.AppendRequest(nil, q, 0)[4:]
		at := bytes.Index(frame, zeros)
		f.Add(slices.Delete(frame, at, at+len(zeros)), uint16(at))
	}
	s := NewServer(Config{Table: NewTable(keeper(nil))})
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		if len(b) < fixedHeader {
			return
		}
		b = slices.Insert(slices.Clone(b), min(int(at), len(b)), zeros...)
		h := parseFixedHeader(b)
		e := s.cfg.Table.lookup(int16(kmsg.Produce), h.version)
		if e == nil {
			return
		}
		var decoded [2]kmsg.Request
		var errs [2]error
		for i, read := range []func(*Conn, *Request) error{
			func(c *Conn, r *Request) error { return c.readWhole(r.frame, r.Size) },
			func(c *Conn, r *Request) error { return c.readSplit(r, e) },
		} {
			c := newConn(s, 1, received{r: bytes.NewReader(b)}, netip.Addr{})
			r := &Request{Conn: c, Key: int16(kmsg.Produce), Version: h.version, Size: len(b), frame: &frame{begin: time.Now()}}
			if errs[i] = read(c, r); errs[i] == nil {
				errs[i] = c.decode(r, e)
			}
			decoded[i] = r.Body
			c.srv.frames.release(r.frame.held)
			c.srv.decoded.release(r.memory)
		}
		if (errs[0] == nil) != (errs[1] == nil) || !reflect.DeepEqual(decoded[0], decoded[1]) {
			t.Fatalf("whole %v, in parts %v", errs[0], errs[1])
		}
	})
}

// TestRecordsArePassedOnWhileTheRestIsRead sends a request in two halves, and another of which the second
// half never comes.
func TestRecordsArePassedOnWhileTheRestIsRead(t *testing.T) {
	arrived, handled := make(chan Arrived, 8), make(chan any, 1)
	api := ServeRequest(3, 13, func(_ context.Context, r *Request, _ *kmsg.ProduceRequest, _ *kmsg.ProduceResponse) error {
		handled <- r.Begun
		return nil
	})
	api.Begin = func(_ context.Context, r *Request, acks int16, transactional bool) func(Arrived) {
		if acks != -1 || !transactional {
			t.Errorf("acks %d, transactional %v", acks, transactional)
		}
		r.Begun = "begun"
		return func(a Arrived) { arrived <- a }
	}
	s, addr := startServer(t, Config{Table: NewTable(api)})
	for _, version := range []int16{3, 9, 13} {
		q := kmsg.NewPtrProduceRequest()
		q.Version, q.Acks, q.TransactionID = version, -1, kmsg.StringPtr("")
		topic := kmsg.ProduceRequestTopic{Topic: "topic"}
		if version >= 13 {
			topic.Topic, topic.TopicID = "", [16]byte{7}
		}
		for i := range 6 {
			records := bytes.Repeat([]byte{byte(i)}, 300<<10)
			if i == 2 {
				records = records[:100] // are not passed on
			}
			topic.Partitions = append(topic.Partitions, kmsg.ProduceRequestTopicPartition{Partition: int32(10 + i), Records: records})
		}
		q.Topics = append(q.Topics, topic)
		frame := formatter.AppendRequest(nil, q, 0)
		want := func(n int) {
			t.Helper()
			p := topic.Partitions[n]
			a := <-arrived
			if a.N != n || a.Partition != p.Partition || a.Topic != topic.Topic || a.TopicID != topic.TopicID || !bytes.Equal(a.Records, p.Records) {
				t.Fatalf("the records of the %dth partition, %d, arrived as those of the %dth, %d, of %q %v", n, p.Partition, a.N, a.Partition, a.Topic, a.TopicID)
			}
		}
		c := dial(t, addr)
		c.write(frame[:len(frame)/2])
		want(0)
		want(1)
		c.write(frame[len(frame)/2:])
		want(3)
		want(4)
		want(5)
		if begun := <-handled; begun != "begun" {
			t.Errorf("what was begun is %v", begun)
		}
		c.receive()
		c.write(frame[:len(frame)/2])
		want(0)
		want(1)
		c.Close()
		eventually(t, func() bool { return s.Stats().FrameBytes == 0 })
	}
}

func TestAPanicWhileARequestArrivesEndsTheConnection(t *testing.T) {
	api := keeper(nil)
	api.Begin = func(context.Context, *Request, int16, bool) func(Arrived) { return func(Arrived) { panic("test") } }
	s, addr := startServer(t, Config{Table: NewTable(api)})
	c := dial(t, addr)
	c.Write(formatter.AppendRequest(nil, produceOf(make([]byte, 300<<10)), 0))
	c.Read(make([]byte, 1)) // the end, or a reset as not all was read
	eventually(t, func() bool { return s.Stats().FrameBytes == 0 && s.Stats().Panics == 1 })
}
