package protocol

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

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
	partition int            // counted through the whole request
	memory    bufpool.Buffer // of the records, all of it
	decoded   *[]byte        // where the decoded request has them, once there is one
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

	slabs   bufpool.Slabs // for a request that is at least as large as one
	r       *Request
	arrived func(Arrived) // nil where nobody wants to know
	next    Arrived       // what is known of the records to come
}

// readSplit reads a Produce request into its frame. Who serves it may begin meanwhile.
func (c *Conn) readSplit(r *Request, e *entry) error {
	f, size := r.frame, r.Size
	if err := c.charge(f, size, size); err != nil {
		return err
	}
	f.left, f.parts = int64(size), f.first[:0]
	f.b = bufpool.Get(freeStep)
	if err := c.fill(f, f.b, size); err != nil {
		return err
	}
	s := splitter{c: c, f: f, r: r, size: size, have: len(f.b), to: len(f.b)}
	s.request(e, r.Version, r.Version >= 9)
	f.b = f.b[:s.end]
	return s.err
}

func (s *splitter) request(e *entry, version int16, flexible bool) {
	s.move(fixedHeader)
	s.move(max(int(s.int16()), 0)) // client id
	if flexible {
		s.tags()
	}
	transactional := s.string(flexible) != nil
	acks := s.int16()
	s.move(4) // timeout
	if s.err == nil && e.Begin != nil {
		s.arrived = e.Begin(s.c.ctx, s.r, acks, transactional)
	}
	for topics := s.length(flexible); topics > 0 && s.err == nil; topics-- {
		if version >= 13 {
			copy(s.next.TopicID[:], s.moved(16))
		} else {
			s.next.Topic = string(s.string(flexible))
		}
		for n := s.length(flexible); n > 0 && s.err == nil; n-- {
			s.next.Partition = s.int32()
			s.records(flexible)
			s.next.N++
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

func (s *splitter) int32() int32 {
	if b := s.moved(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
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
	return max(int(s.int32()), 0)
}

// string returns one's bytes, until the next are moved, nil for null.
func (s *splitter) string(compact bool) []byte {
	var n int
	if compact {
		n = s.uvarint() - 1
	} else {
		n = int(s.int16())
	}
	if n < 0 {
		return nil
	}
	return s.moved(n)
}

func (s *splitter) tags() {
	for n := s.uvarint(); n > 0 && s.err == nil; n-- {
		s.uvarint()
		s.move(s.uvarint())
	}
}

// records takes those of a partition out of the frame, which says there are none, unless they are few.
func (s *splitter) records(compact bool) {
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
	s.f.parts = append(s.f.parts, part{partition: s.next.N})
	m := &s.f.parts[len(s.f.parts)-1].memory
	b := &m.Bytes
	if s.size >= bufpool.SlabSize && n <= bufpool.LargestInSlab {
		*m = s.slabs.Get(n) // the budget has granted more than a slab
		s.read(*b)
		s.tell(*b)
		return
	}
	for have := 0; have < n && s.err == nil; {
		*b = grown(*b, nextStep(freeStep+have, n), have)
		next := min(n, len(*b))
		s.read((*b)[have:next])
		have = next
	}
	if s.err == nil {
		*b = (*b)[:n]
		s.tell(*b)
	}
}

// tell passes on records that have arrived.
func (s *splitter) tell(records []byte) {
	if s.arrived == nil || s.err != nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.c.srv.panicked(s.r, p, debug.Stack())
			s.err = errClosed
		}
	}()
	s.r.told = true
	s.next.Records = records
	began := time.Now()
	s.arrived(s.next)
	s.f.begin = s.f.begin.Add(time.Since(began)) // that was not the peer's doing
}

// FreeRecords gives back the memory of one partition's records, counted through all of a Produce
// request, before the request is answered: nobody uses it any more. Call it in Answer.Wait, or while
// the request arrives.
func (r *Request) FreeRecords(partition int) {
	i, ok := slices.BinarySearchFunc(r.frame.parts, partition, func(p part, n int) int { return cmp.Compare(p.partition, n) })
	if !ok {
		return
	}
	c, f, p := r.Conn, r.frame, &r.frame.parts[i]
	f.left = max(f.left-int64(p.memory.Free()), 0)
	if over := f.held - f.left; over > 0 { // where it was larger than the budget, all of that is for what is left
		c.srv.frames.release(over)
		f.held -= over
	}
	if p.decoded != nil {
		*p.decoded = nil
	}
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
				*rest[0].decoded, rest = rest[0].memory.Bytes, rest[1:]
			}
			partition++
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: Produce", errMalformed)
	}
	return nil
}
