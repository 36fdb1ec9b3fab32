package peers

import (
	"encoding/binary"
	"fmt"
	"io"
)

// magic begins both directions of every connection.
const magic = "QLPEER\r\n"

// The protocol versions that this node speaks.
const (
	minVersion = 1
	maxVersion = 1
)

// maxHello bounds each message of the handshake, maxMembers what one of them may tell.
const (
	maxHello   = 1 << 20
	maxMembers = 4096
)

// purpose is what a connection is for.
type purpose byte

const (
	forLink  purpose = 1 // the one connection for everything but bulk
	forBulk  purpose = 2 // one stream of a bulk service
	forProbe purpose = 3 // to ask who is there
)

// Member is a node as another one knows it.
type Member struct {
	ID       int32
	Identity string // of the data directory, empty while unknown
	Address  string // where its peers reach it
}

// Info is what a node says of itself.
type Info struct {
	Member
	ClusterID   string // empty while unknown
	Incarnation string // another one for each start of the process
}

// hello is the first message of whoever dials.
type hello struct {
	min, max uint64 // protocol versions
	purpose  purpose
	to       int32 // who is expected there, -1 anybody
	info     Info
	window   uint64 // bytes of requests that may wait for an answer
}

// welcome answers a hello: with a refusal, or without; it tells who is there in both cases.
type welcome struct {
	refusal refusal
	version uint64 // chosen
	info    Info
	window  uint64
	members []Member // that the node knows
}

// verdict ends the handshake: whoever dialled may refuse as well.
type verdict struct{ refusal refusal }

func appendInfo(b []byte, i Info) []byte {
	b = appendNode(b, i.ID)
	b = appendBytes(b, i.Identity)
	b = appendBytes(b, i.Address)
	b = appendBytes(b, i.ClusterID)
	return appendBytes(b, i.Incarnation)
}

func (d *decoder) member() Member {
	return Member{ID: d.node(), Identity: d.string(), Address: d.string()}
}

func (d *decoder) info() Info {
	return Info{Member: d.member(), ClusterID: d.string(), Incarnation: d.string()}
}

func (h hello) encode() []byte {
	b := appendUint(appendUint(nil, h.min), h.max)
	b = appendNode(append(b, byte(h.purpose)), h.to)
	return appendUint(appendInfo(b, h.info), h.window)
}

// decode takes the fields of this version; later versions may append others.
func (h *hello) decode(b []byte) error {
	d := decoder{b: b}
	h.min, h.max = d.uint(), d.uint()
	if d.bad || h.min > maxVersion || h.max < minVersion {
		return d.prefix() // the rest may look otherwise
	}
	h.purpose, h.to, h.info, h.window = purpose(d.byte()), d.node(), d.info(), d.uint()
	if h.info.ID < 0 {
		d.fail()
	}
	return d.prefix()
}

// prefix is the error of a message that may be longer than what is known of it.
func (d *decoder) prefix() error {
	if d.bad {
		return errFormat
	}
	return nil
}

func (r refusal) append(b []byte) []byte { return appendBytes(append(b, byte(r.code)), r.text) }

func (d *decoder) refusal() refusal { return refusal{refusalCode(d.byte()), d.string()} }

func (w welcome) encode() []byte {
	b := appendUint(w.refusal.append(nil), w.version)
	b = appendUint(appendInfo(b, w.info), w.window)
	b = appendUint(b, uint64(len(w.members)))
	for _, m := range w.members {
		b = appendBytes(appendBytes(appendNode(b, m.ID), m.Identity), m.Address)
	}
	return b
}

func (w *welcome) decode(b []byte) error {
	d := decoder{b: b}
	w.refusal, w.version, w.info, w.window = d.refusal(), d.uint(), d.info(), d.uint()
	w.members = nil
	for range d.count(3, maxMembers) {
		w.members = append(w.members, d.member())
	}
	return d.prefix()
}

func (v verdict) encode() []byte { return v.refusal.append(nil) }

func (v *verdict) decode(b []byte) error {
	d := decoder{b: b}
	v.refusal = d.refusal()
	return d.prefix()
}

// writeHandshake writes one message of the handshake; the first of each side begins with magic.
func writeHandshake(w io.Writer, first bool, message []byte) error {
	b := make([]byte, 0, len(magic)+4+len(message))
	if first {
		b = append(b, magic...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
	_, err := w.Write(append(b, message...))
	return err
}

// readHandshake reads exactly one message, nothing that follows it.
func readHandshake(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxHello {
		return nil, fmt.Errorf("%w: handshake of %d bytes", errTooLarge, n)
	}
	return readBody(r, nil, int(n))
}
