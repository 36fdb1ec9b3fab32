package protocol

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/internal/bufpool"
)

// A large Produce request is read with the records of each partition in a buffer of their own, and
// the frame has everything else: a node gets requests of all sizes up to the limit, batches of
// much the same size, so that their buffers serve again and again where whole frames would leave
// megabytes to collect.

const (
	splitVersion = 3       // of Produce, from which on it has the fields that are known here
	splitBytes   = 4 << 10 // of records, from which on they get a buffer
)

// part is the records of one partition.
type part struct {
	partition int // counted through the whole request
	records   []byte
	decoded   *[]byte // where the decoded request has them
}

// splitter moves a Produce request that arrives to its frame and the frame's parts. After a
// step that failed every further one is a no-op.
type splitter struct {
	c    *Conn
	f    *frame
	size int // of the request
	have int // bytes of it that were read from the connection
	from int // f.b[from:to] is what of them has been read too early to be in its place
	to   int
	end  int // f.b[:end] is what stays in the frame
	err  error
}

// readSplit reads a Produce request of size bytes.
func (c *Conn) readSplit(f *frame, size int, version int16) error {
	if err := c.charge(f, size, size); err != nil {
		return err
	}
	f.left, f.parts = int64(size), f.first[:0]
	f.b = bufpool.Get(freeStep)
	if err := c.fill(f, f.b, size); err != nil {
		return err
	}
	s := splitter{c: c, f: f, size: size, have: len(f.b), to: len(f.b)}
	s.request(version, version >= 9)
	f.b = f.b[:s.end]
	return s.err
}

func (s *splitter) request(version int16, flexible bool) {
	s.move(fixedHeader)
	s.move(max(int(s.int16()), 0)) // client id
	if flexible {
		s.tags()
	}
	s.string(flexible) // transactional id
	s.move(2 + 4)      // acks, timeout
	partition := 0
	for topics := s.length(flexible); topics > 0 && s.err == nil; topics-- {
		if version >= 13 {
			s.move(16)
		} else {
			s.string(flexible)
		}
		for n := s.length(flexible); n > 0 && s.err == nil; n-- {
			s.move(4)
			s.records(flexible, partition)
			partition++
			if flexible {
				s.tags()
			}
		}
		if flexible {
			s.tags()
		}
	}
	s.move(s.left()) // tags, or what does not belong there
}

// left is how many bytes of the request have not been looked at.
func (s *splitter) left() int { return s.size - s.have + s.to - s.from }

// fits reports whether there are n more bytes.
func (s *splitter) fits(n int) bool {
	if s.err == nil && n > s.left() {
		s.err = fmt.Errorf("%w: Produce", errMalformed)
	}
	return s.err == nil
}

// read fills b, for which the request has enough.
func (s *splitter) read(b []byte) {
	n := copy(b, s.f.b[s.from:s.to])
	s.from += n
	if b = b[n:]; len(b) > 0 && s.err == nil {
		s.have += len(b)
		s.err = s.c.fill(s.f, b, s.size)
	}
}

// move leaves n bytes in the frame.
func (s *splitter) move(n int) {
	if !s.fits(n) {
		return
	}
	for n > 0 && s.err == nil {
		if s.from == s.to && s.end == len(s.f.b) {
			s.f.b = grown(s.f.b, min(2*s.end, s.size), s.end)
		}
		step := min(n, len(s.f.b)-s.end)
		if s.from < s.to {
			step = min(step, s.to-s.from)
		}
		s.read(s.f.b[s.end : s.end+step])
		s.end += step
		n -= step
	}
}

// moved moves n bytes and returns them, nil where there are not so many.
func (s *splitter) moved(n int) []byte {
	s.move(n)
	if s.err != nil {
		return nil
	}
	return s.f.b[s.end-n : s.end]
}

func (s *splitter) int16() int16 {
	if b := s.moved(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (s *splitter) uvarint() int {
	for n := 1; n <= binary.MaxVarintLen32; n++ {
		if b := s.moved(1); b == nil {
			return 0
		} else if b[0] < 0x80 {
			v, _ := binary.Uvarint(s.f.b[s.end-n : s.end])
			return int(v)
		}
	}
	s.err = fmt.Errorf("%w: Produce", errMalformed)
	return 0
}

// length reads that of bytes or an array. Null is 0.
func (s *splitter) length(compact bool) int {
	if compact {
		return max(s.uvarint()-1, 0)
	}
	if b := s.moved(4); b != nil {
		return max(int(int32(binary.BigEndian.Uint32(b))), 0)
	}
	return 0
}

func (s *splitter) string(compact bool) {
	if compact {
		s.move(s.length(compact))
	} else {
		s.move(max(int(s.int16()), 0))
	}
}

func (s *splitter) tags() {
	for n := s.uvarint(); n > 0 && s.err == nil; n-- {
		s.uvarint()
		s.move(s.uvarint())
	}
}

// records takes those of a partition out of the frame, which says there are none, unless they are few.
func (s *splitter) records(compact bool, partition int) {
	before := s.end
	n := s.length(compact)
	if n < splitBytes {
		s.move(n)
		return
	}
	if !s.fits(n) {
		return
	}
	if s.end = before + 4; compact {
		s.end = before + 1
		s.f.b[before] = 1
	} else {
		clear(s.f.b[before:s.end])
	}
	s.f.parts = append(s.f.parts, part{partition: partition})
	b := &s.f.parts[len(s.f.parts)-1].records
	for have := 0; have < n && s.err == nil; {
		*b = grown(*b, nextStep(freeStep+have, n), have)
		next := min(n, len(*b))
		s.read((*b)[have:next])
		have = next
	}
	if s.err == nil {
		*b = (*b)[:n]
	}
}

// FreeRecords gives back the memory of one partition's records, counted through all of a Produce
// request, before the request is answered: nobody uses it any more. Call it in Answer.Wait.
func (r *Request) FreeRecords(partition int) {
	i, ok := slices.BinarySearchFunc(r.frame.parts, partition, func(p part, n int) int { return cmp.Compare(p.partition, n) })
	if !ok {
		return
	}
	c, f, p := r.Conn, r.frame, &r.frame.parts[i]
	f.left -= int64(len(p.records))
	if over := f.held - f.left; over > 0 { // where it was larger than the budget, all of that is for what is left
		c.srv.frames.release(over)
		f.held -= over
	}
	bufpool.Put(p.records)
	p.records, *p.decoded = nil, nil
}

// attach gives a decoded request the records that are not in the frame.
func (f *frame) attach(body kmsg.Request) error {
	rest, partition := f.parts, 0
	if len(rest) == 0 {
		return nil
	}
	topics := body.(*kmsg.ProduceRequest).Topics
	for i := range topics {
		for j := range topics[i].Partitions {
			if len(rest) > 0 && rest[0].partition == partition {
				rest[0].decoded = &topics[i].Partitions[j].Records
				*rest[0].decoded, rest = rest[0].records, rest[1:]
			}
			partition++
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: Produce", errMalformed)
	}
	return nil
}
