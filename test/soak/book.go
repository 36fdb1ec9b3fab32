//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// book is what writers of a topic have written, and what readers have read of it. Every writer numbers
// its records in every partition, so that what is lost, repeated or out of order shows where it is read.
type book struct {
	load  *load
	topic string

	mu      sync.Mutex
	written map[stream]uint64 // the last number that was acknowledged, for transactions committed
	read    map[stream]uint64
	next    map[int32]int64 // the offset that no reader has come to yet
}

// stream is the records of one writer in one partition, numbered from 1.
type stream struct {
	writer    uint32
	partition int32
}

func newBook(l *load, topic string) *book {
	return &book{load: l, topic: topic, written: map[stream]uint64{}, read: map[stream]uint64{}, next: map[int32]int64{}}
}

// value is a record's: whose and which it is, and something that compresses as JSON does. Whatever must
// not be read, since its transaction is aborted, has the number 0.
func value(writer uint32, number uint64, size int) []byte {
	b := make([]byte, 12, 12+size)
	binary.BigEndian.PutUint32(b, writer)
	binary.BigEndian.PutUint64(b[4:], number)
	for len(b) < 12+size {
		b = fmt.Appendf(b, `{"id":%d,"amount":%d},`, rand.Uint32(), rand.IntN(1000))
	}
	return b[:12+size]
}

func parse(v []byte) (writer uint32, number uint64) {
	if len(v) < 12 {
		return 0, 0
	}
	return binary.BigEndian.Uint32(v), binary.BigEndian.Uint64(v[4:])
}

func (b *book) acknowledged(writer uint32, partition int32, number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := stream{writer, partition}
	b.written[s] = max(b.written[s], number)
}

// take looks at a record that a reader got. Several readers share a book, and one may read again what
// another did: only what nobody had read is compared.
func (b *book) take(r *kgo.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Offset < b.next[r.Partition] {
		return
	}
	b.next[r.Partition] = r.Offset + 1
	writer, number := parse(r.Value)
	s := stream{writer, r.Partition}
	if want := b.read[s] + 1; number != want {
		b.load.find(fmt.Errorf("%s/%d at offset %d: record %d of writer %d where %d was to come", b.topic, r.Partition, r.Offset, number, writer, want))
	}
	b.read[s] = number
}

// whole reports whether all that was acknowledged has been read.
func (b *book) whole() bool { return b.missing() == "" }

func (b *book) missing() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s strings.Builder
	for k, n := range b.written {
		if b.read[k] < n {
			fmt.Fprintf(&s, "%s/%d: records %d to %d of writer %d; ", b.topic, k.partition, b.read[k]+1, n, k.writer)
		}
	}
	return s.String()
}
