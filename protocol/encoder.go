package protocol

import (
	"encoding/binary"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// encoder appends Kafka's primitive types.
type encoder struct {
	b        []byte
	flexible bool
}

func (e *encoder) int16(v int16) { e.b = binary.BigEndian.AppendUint16(e.b, uint16(v)) }
func (e *encoder) int32(v int32) { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoder) int64(v int64) { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }
func (e *encoder) uvarint(v int) { e.b = binary.AppendUvarint(e.b, uint64(v)) }

// bytesLen appends the length of bytes or an array.
func (e *encoder) bytesLen(n int) {
	if e.flexible {
		e.uvarint(n + 1)
	} else {
		e.int32(int32(n))
	}
}

func (e *encoder) arrayLen(n int) { e.bytesLen(n) }

func (e *encoder) nullableArrayLen(n int, null bool) {
	if null {
		n = -1
	}
	e.bytesLen(n)
}

func (e *encoder) nullableBytes(b []byte) {
	e.nullableArrayLen(len(b), b == nil)
	e.b = append(e.b, b...)
}

func (e *encoder) string(s string) {
	if e.flexible {
		e.uvarint(len(s) + 1)
	} else {
		e.int16(int16(len(s)))
	}
	e.b = append(e.b, s...)
}

func (e *encoder) nullableString(s *string) {
	switch {
	case s != nil:
		e.string(*s)
	case e.flexible:
		e.uvarint(0)
	default:
		e.int16(-1)
	}
}

// tags appends a struct's unknown tagged fields.
func (e *encoder) tags(t *kmsg.Tags) {
	if e.flexible {
		e.uvarint(t.Len())
		e.b = t.AppendEach(e.b)
	}
}

// tag appends one known tagged field: its key, its size, and what value appends.
func (e *encoder) tag(key int, value func(*encoder)) {
	v := encoder{flexible: true}
	value(&v)
	e.uvarint(key)
	e.uvarint(len(v.b))
	e.b = append(e.b, v.b...)
}
