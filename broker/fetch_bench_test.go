package broker

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// BenchmarkFetch is a fetch of all partitions from a connection to its answer, of which each is read up to so
// many bytes: sessions, watermarks and the index are asked, and the batches go out from the files.
func BenchmarkFetch(b *testing.B) {
	for _, c := range []struct{ partitions, bytes int }{{1, 1 << 10}, {6, 64 << 10}, {50, 16 << 10}} {
		b.Run(fmt.Sprintf("partitions=%d/bytes=%d", c.partitions, c.bytes), func(b *testing.B) { benchFetch(b, c.partitions, c.bytes) })
	}
}

func benchFetch(b *testing.B, partitions, bytes int) {
	c := startCluster(b, 1, nil)
	id, nc := ledByFirst(b, c, 1, partitions)
	frame, answer := produceFrame(id, partitions)
	for range 1 + bytes/1024 {
		nc.Write(frame)
		readAnswer(b, nc, answer)
	}
	q := kmsg.NewPtrFetchRequest()
	q.SetVersion(13)
	q.SessionEpoch = -1 // without a session: all partitions are named and answered each time
	q.MaxBytes = 50 << 20
	t := kmsg.NewFetchRequestTopic()
	t.TopicID = id
	for p := range partitions {
		x := kmsg.NewFetchRequestTopicPartition()
		x.Partition, x.PartitionMaxBytes = int32(p), int32(bytes)
		t.Partitions = append(t.Partitions, x)
	}
	q.Topics = append(q.Topics, t)
	frame = kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, q, 1)
	buf := make([]byte, partitions*(bytes+2048)+1024)
	fetch := func() int {
		nc.Write(frame)
		return readFetched(b, nc, buf)
	}
	size := fetch()
	if size < partitions*bytes/2 {
		b.Fatalf("%d bytes were fetched", size)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		fetch()
	}
}

func readFetched(b *testing.B, nc net.Conn, buf []byte) int {
	if _, err := io.ReadFull(nc, buf[:4]); err != nil {
		b.Fatal(err)
	}
	n := int(binary.BigEndian.Uint32(buf))
	if _, err := io.ReadFull(nc, buf[:n]); err != nil {
		b.Fatal(err)
	}
	return n
}
