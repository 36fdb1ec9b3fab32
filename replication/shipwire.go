package replication

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// How segment files travel is told in docs/formats/segment-transfer.md. All integers are
// big-endian.

const (
	shipFormat = 1
	// maxManifest bounds the description of a log; maxShipText the words of an answer.
	maxManifest = 256 << 20
	maxShipText = 1 << 10
)

var (
	shipMagic   = [4]byte{'Q', 'L', 'S', 'T'}
	errShipWire = errors.New("malformed segment transfer")
)

// shipHeader opens a stream: it says who leads which group.
type shipHeader struct {
	term    uint64
	group   string
	leader  string // ServerID
	address string
}

func (h shipHeader) encode() []byte {
	b := append([]byte{}, shipMagic[:]...)
	b = binary.BigEndian.AppendUint16(b, shipFormat)
	b = binary.BigEndian.AppendUint64(b, h.term)
	for _, s := range []string{h.group, h.leader, h.address} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		b = append(b, s...)
	}
	return b
}

func parseShipHeader(b []byte) (h shipHeader, err error) {
	if len(b) < 14 || [4]byte(b[:4]) != shipMagic {
		return h, errShipWire
	}
	if v := binary.BigEndian.Uint16(b[4:]); v != shipFormat {
		return h, fmt.Errorf("%w: format %d, this version reads %d", errShipWire, v, shipFormat)
	}
	h.term = binary.BigEndian.Uint64(b[6:])
	b = b[14:]
	for _, s := range []*string{&h.group, &h.leader, &h.address} {
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return h, errShipWire
		}
		n := int(binary.BigEndian.Uint16(b))
		*s, b = string(b[2:2+n]), b[2+n:]
	}
	if len(b) > 0 || h.term == 0 {
		return h, errShipWire
	}
	return h, nil
}

func (h shipHeader) heartbeat() *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(h.leader), Addr: []byte(h.address)},
		Term:      h.term,
	}
}

// shipStatus is what a receiver says.
type shipStatus uint8

// The values go over the network: never renumber.
const (
	shipGoOn    shipStatus = 1 // it waits for the manifest; then: the list of what is missing follows
	shipDone    shipStatus = 2 // it has everything
	shipStale   shipStatus = 3 // it knows a later term
	shipRefused shipStatus = 4 // it cannot take it now; the text says why
)

// shipAnswer is sent three times: before the manifest, before the files, and after them.
type shipAnswer struct {
	status shipStatus
	term   uint64
	text   string
}

func (a shipAnswer) write(w io.Writer) error {
	text := a.text[:min(len(a.text), maxShipText)]
	b := []byte{byte(a.status)}
	b = binary.BigEndian.AppendUint64(b, a.term)
	b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	_, err := w.Write(append(b, text...))
	return err
}

func readShipAnswer(r io.Reader) (a shipAnswer, err error) {
	var b [11]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return a, err
	}
	a.status, a.term = shipStatus(b[0]), binary.BigEndian.Uint64(b[1:])
	n := binary.BigEndian.Uint16(b[9:])
	if a.status < shipGoOn || a.status > shipRefused || n > maxShipText {
		return a, errShipWire
	}
	text := make([]byte, n)
	_, err = io.ReadFull(r, text)
	a.text = string(text)
	return a, err
}

// writeManifest sends a description with its length before it.
func writeManifest(w io.Writer, b []byte) error {
	if _, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b)))); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

func readManifest(r io.Reader) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(n[:]))
	if size > maxManifest {
		return nil, errShipWire
	}
	b, err := io.ReadAll(io.LimitReader(r, size)) // grows as bytes arrive
	if err == nil && int64(len(b)) < size {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func writeMissing(w io.Writer, from []int64) error {
	b := make([]byte, 0, 8*len(from))
	for _, n := range from {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	_, err := w.Write(b)
	return err
}

// readMissing reads one position for each of the parts of these sizes.
func readMissing(r io.Reader, sizes []int64) ([]int64, error) {
	b := make([]byte, 8*len(sizes))
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	from := make([]int64, len(sizes))
	for i := range from {
		n := binary.BigEndian.Uint64(b[8*i:])
		if n > uint64(sizes[i]) {
			return nil, errShipWire
		}
		from[i] = int64(n)
	}
	return from, nil
}
