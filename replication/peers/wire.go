package peers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The kinds of frames between two nodes; docs/formats/peer-protocol.md has the format of each.
const (
	kindName       = 1 // gives a group's name a number
	kindRequest    = 2 // one of Raft's requests
	kindResponse   = 3 // its answer
	kindHeartbeats = 4 // Raft's heartbeats of many groups
	kindAlive      = 5 // the answer to them
	kindCommits    = 6 // commit indexes of many groups
	kindNode       = 7 // the node's own heartbeat
	kindCall       = 8 // a call of a service
	kindAnswer     = 9 // its answer
)

// frameHead is the length of a frame's length and kind.
const frameHead = 5

var (
	errFormat   = errors.New("malformed frame")
	errTooLarge = errors.New("frame is too large")
)

// decoder takes the primitive types from b. The first error stays, and everything after it is
// zero. The bytes that it returns are b's own.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) fail() {
	d.b, d.bad = nil, true
}

// end is the error of a body that was malformed, or longer than what was read of it.
func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return errFormat
	}
	return nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.fail()
	}
	return v == 1
}

// node is a node id; -1, "unknown", travels as 0.
func (d *decoder) node() int32 {
	v := d.uint()
	if v > math.MaxInt32 {
		d.fail()
		return -1
	}
	return int32(v) - 1
}

func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte  { return d.take(d.uint()) }
func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) rest() []byte {
	v := d.b
	d.b = nil
	return v
}

// count is a number of elements, each at least size bytes long and max of them.
func (d *decoder) count(size, max int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size) || n > uint64(max) {
		d.fail()
		return 0
	}
	return int(n)
}

func appendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }

func appendNode(b []byte, node int32) []byte { return appendUint(b, uint64(node+1)) }

func appendBytes[T string | []byte](b []byte, v T) []byte {
	return append(appendUint(b, uint64(len(v))), v...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// newFrame begins a frame; seal writes its length.
func newFrame(kind byte, capacity int) []byte {
	return beginFrame(make([]byte, 0, frameHead+capacity), kind)
}

// beginFrame is newFrame in the memory of b.
func beginFrame(b []byte, kind byte) []byte { return append(b[:0], 0, 0, 0, 0, kind) }

// seal completes a frame that goes on for more bytes after b.
func seal(b []byte, more int) []byte {
	binary.BigEndian.PutUint32(b, uint32(len(b)-4+more))
	return b
}

// readHead reads a frame's kind and the length of its body.
func readHead(r io.Reader, scratch *[frameHead]byte, max int) (kind byte, size int, err error) {
	if _, err := io.ReadFull(r, scratch[:]); err != nil {
		return 0, 0, err
	}
	n := binary.BigEndian.Uint32(scratch[:])
	if n == 0 {
		return 0, 0, errFormat
	}
	if int64(n)-1 > int64(max) {
		return 0, 0, fmt.Errorf("%w: %d bytes, at most %d are taken", errTooLarge, n, max)
	}
	return scratch[4], int(n) - 1, nil
}

// firstRead is how much memory a frame gets before anything of it has arrived.
const firstRead = 2 << 20

// readBody reads size bytes into buf, which grows as they arrive.
func readBody(r io.Reader, buf []byte, size int) ([]byte, error) {
	if cap(buf) >= size {
		buf = buf[:size]
		_, err := io.ReadFull(r, buf)
		return buf, err
	}
	buf = make([]byte, min(size, firstRead))
	for have := 0; ; {
		if _, err := io.ReadFull(r, buf[have:]); err != nil {
			return nil, err
		}
		if have = len(buf); have == size {
			return buf, nil
		}
		larger := make([]byte, min(size, 2*have))
		copy(larger, buf)
		buf = larger
	}
}
