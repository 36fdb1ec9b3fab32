package protocol

import (
	"bytes"
	"context"
	"math/rand"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetchCases returns responses with every field, and with every kind of nothing.
func fetchCases() map[string]*FetchResponse {
	tags := func() (t kmsg.Tags) {
		t.Set(70, []byte("later"))
		t.Set(7, nil)
		return t
	}
	full := NewFetchResponse(0)
	full.ThrottleMillis, full.ErrorCode, full.SessionID, full.UnknownTags = 5, 71, 123456, tags()
	full.Brokers = []kmsg.FetchResponseBroker{
		{NodeID: 1, Host: "h", Port: 9092, Rack: kmsg.StringPtr("r")}, {NodeID: 2, Host: "", Port: -1, UnknownTags: tags()}}
	for i, topic := range []string{"a", "", "a topic whose name is longer than the rest"} {
		ft := kmsg.NewFetchResponseTopic()
		ft.Topic, ft.TopicID[3] = topic, byte(i)
		if i > 0 {
			ft.UnknownTags = tags()
		}
		for j := range 4 * i {
			p := kmsg.NewFetchResponseTopicPartition()
			p.Partition, p.ErrorCode = int32(j), int16(i)
			p.HighWatermark, p.LastStableOffset, p.LogStartOffset, p.PreferredReadReplica = 1<<40, 1<<39, 3, int32(j-1)
			switch j % 4 {
			case 0:
				p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{{ProducerID: 9, FirstOffset: 8}, {UnknownTags: tags()}}
				p.RecordBatches = bytes.Repeat([]byte{1}, 100<<i)
			case 1:
				p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
				p.RecordBatches = []byte{}
				p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = 3, 33
			case 2:
				p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch = 2, 7
				p.UnknownTags = tags()
			case 3:
				p.RecordBatches = bytes.Repeat([]byte{3}, 20_000)
				p.SnapshotID.EndOffset, p.SnapshotID.Epoch, p.SnapshotID.UnknownTags = 4, 5, tags()
				p.DivergingEpoch.UnknownTags, p.CurrentLeader.UnknownTags = tags(), tags()
			}
			ft.Partitions = append(ft.Partitions, p)
		}
		full.Topics = append(full.Topics, ft)
	}
	empty := NewFetchResponse(0)
	empty.Topics = []kmsg.FetchResponseTopic{}
	return map[string]*FetchResponse{"full": full, "empty": empty, "nil": NewFetchResponse(0)}
}

// splitUp moves a response's record batches into sections of pieces of each.
func splitUp(f *FetchResponse, pieces int) *FetchResponse {
	g := &FetchResponse{FetchResponse: f.FetchResponse}
	g.Topics = nil
	for _, t := range f.Topics {
		var parts [][]Section
		old := t.Partitions
		t.Partitions = nil
		for _, p := range old {
			var sections []Section
			if b := p.RecordBatches; b != nil {
				sections = []Section{}
				for n := 0; len(b) > 0; n++ {
					size := len(b)
					if n < pieces-1 {
						size = min(len(b), len(p.RecordBatches)/pieces+n)
					}
					sections = append(sections, Section{Mem: b[:size]})
					b = b[size:]
				}
				p.RecordBatches = []byte("not these")
			}
			t.Partitions, parts = append(t.Partitions, p), append(parts, sections)
		}
		g.Topics, g.Sections = append(g.Topics, t), append(g.Sections, parts)
	}
	return g
}

func TestFetchResponsesAreEncodedAsKmsgDoes(t *testing.T) {
	for name, f := range fetchCases() {
		for v := int16(4); v <= f.MaxVersion(); v++ {
			f.SetVersion(v)
			want := f.FetchResponse.AppendTo(nil)
			if got := f.AppendTo([]byte("x"))[1:]; !bytes.Equal(got, want) {
				t.Errorf("%s version %d: plain records\n got %x\nwant %x", name, v, got, want)
			}
			for pieces := 1; pieces <= 3; pieces++ {
				if got := splitUp(f, pieces).AppendTo(nil); !bytes.Equal(got, want) {
					t.Errorf("%s version %d: in %d sections\n got %x\nwant %x", name, v, pieces, got, want)
				}
			}
		}
	}
}

func TestMissingSectionsLeaveTheRecordBatches(t *testing.T) {
	f := fetchCases()["full"]
	f.SetVersion(11)
	want := f.FetchResponse.AppendTo(nil)
	f.Sections = [][][]Section{nil, {nil, nil}}
	if got := f.AppendTo(nil); !bytes.Equal(got, want) {
		t.Errorf("got %x\nwant %x", got, want)
	}
}

// testFile returns a file of random bytes and its contents.
func testFile(t testing.TB, size int) (*os.File, []byte) {
	t.Helper()
	f, err := os.Create(t.TempDir() + "/records")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	b := make([]byte, size)
	rand.New(rand.NewSource(2)).Read(b)
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	return f, b
}

// filePartitions returns a response of version 11 with a partition for each offset and length
// in a file.
func filePartitions(f *os.File, data []byte, ranges ...[2]int) *FetchResponse {
	resp := NewFetchResponse(11)
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic = "t"
	var parts [][]Section
	for _, r := range ranges {
		topic.Partitions = append(topic.Partitions, kmsg.NewFetchResponseTopicPartition())
		parts = append(parts, []Section{{File: f, Off: int64(r[0]), Mem: data[r[0] : r[0]+r[1]]}})
	}
	resp.Topics, resp.Sections = []kmsg.FetchResponseTopic{topic}, [][][]Section{parts}
	return resp
}

func TestSectionsArriveInTheirPlaces(t *testing.T) {
	f, data := testFile(t, 6<<20)
	ranges := [][2]int{
		{0, 100}, {7, sendfileBytes - 1}, {11, sendfileBytes}, {1, 0}, {13, 3<<20 + 1}, {17, writeStep}, {100, 5000}, {6<<20 - 1, 1}, {99, 5 << 20}}
	want := filePartitions(f, data, ranges...)
	api := API{Key: 1, Min: 4, Max: 11, Handle: func(context.Context, *Request) Answer {
		return Answer{Response: filePartitions(f, data, ranges...)}
	}}
	_, addr := startServer(t, Config{Table: NewTable(api)})
	c := dial(t, addr)
	for range 3 { // the shared file's position plays no part
		resp := new(kmsg.FetchResponse)
		resp.Version = 11
		c.receiveInto(c.send(fetch(11)), resp)
		for i, r := range ranges {
			if got := resp.Topics[0].Partitions[i].RecordBatches; !bytes.Equal(got, data[r[0]:r[0]+r[1]]) {
				t.Fatalf("partition %d: %d bytes, not those of %v", i, len(got), r)
			}
		}
		if got := resp.AppendTo(nil); !bytes.Equal(got, want.AppendTo(nil)) {
			t.Fatal("the response differs from its own encoding")
		}
	}
}

func TestAFileShorterThanItsSectionClosesTheConnection(t *testing.T) {
	f, data := testFile(t, 1<<20)
	released := make(chan struct{}, 1)
	api := API{Key: 1, Min: 4, Max: 11, Handle: func(context.Context, *Request) Answer {
		f.Truncate(500 << 10)
		return Answer{Response: filePartitions(f, data, [2]int{0, 1 << 20}), Release: func() { released <- struct{}{} }}
	}}
	s, addr := startServer(t, Config{Table: NewTable(api)})
	c := dial(t, addr)
	c.send(fetch(11))
	<-released
	eventually(t, func() bool { return s.Stats().Connections == 0 && s.Stats().WriteErrors == 1 })
}
