package peers

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// The types of Raft's messages.
const (
	typeAppend     = 1
	typeVote       = 2
	typePreVote    = 3
	typeTimeoutNow = 4
)

// maxEntries bounds the entries of one request.
const maxEntries = 8192

// copyBelow is the size up to which copying an entry is cheaper than a piece of its own in writev.
const copyBelow = 2 << 10

var errMessage = errors.New("not a message of Raft's that travels")

func isHeartbeat(r *raft.AppendEntriesRequest) bool {
	return r.Term != 0 && r.PrevLogEntry == 0 && r.PrevLogTerm == 0 && len(r.Entries) == 0 && r.LeaderCommitIndex == 0
}

func appendHeader(b []byte, h raft.RPCHeader) []byte {
	b = appendUint(b, uint64(h.ProtocolVersion))
	b = appendBytes(b, h.ID)
	return appendBytes(b, h.Addr)
}

func (d *decoder) header() raft.RPCHeader {
	v := d.uint()
	if v > uint64(raft.ProtocolVersionMax) {
		d.fail()
	}
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersion(v), ID: d.bytes(), Addr: d.bytes()}
}

// appendRequest appends a request to b, and to pieces what the message consists of: b's bytes, and
// between them the data of large entries, which is not copied.
func appendRequest(b []byte, pieces [][]byte, request any) ([]byte, [][]byte, error) {
	switch r := request.(type) {
	case *raft.AppendEntriesRequest:
		b, pieces = appendAppend(b, pieces, r)
		return b, pieces, nil
	case *raft.RequestVoteRequest:
		b = appendHeader(append(b, typeVote), r.RPCHeader)
		b = appendUint(appendUint(appendUint(b, r.Term), r.LastLogIndex), r.LastLogTerm)
		b = appendBool(b, r.LeadershipTransfer)
	case *raft.RequestPreVoteRequest:
		b = appendHeader(append(b, typePreVote), r.RPCHeader)
		b = appendUint(appendUint(appendUint(b, r.Term), r.LastLogIndex), r.LastLogTerm)
	case *raft.TimeoutNowRequest:
		b = appendHeader(append(b, typeTimeoutNow), r.RPCHeader)
	default:
		return nil, nil, fmt.Errorf("%T: %w", request, errMessage)
	}
	return b, append(pieces, b), nil
}

// appendAppend writes what is known of all entries first, then the data of all of them.
func appendAppend(b []byte, pieces [][]byte, r *raft.AppendEntriesRequest) ([]byte, [][]byte) {
	b = appendHeader(append(b, typeAppend), r.RPCHeader)
	b = appendUint(appendUint(appendUint(appendUint(b, r.Term), r.PrevLogEntry), r.PrevLogTerm), r.LeaderCommitIndex)
	b = appendUint(b, uint64(len(r.Entries)))
	for _, e := range r.Entries {
		b = appendUint(appendUint(append(b, byte(e.Type)), e.Index), e.Term)
		b = appendUint(b, uint64(len(e.Data)))
	}
	start := 0 // of the part of b that is not in pieces
	for _, e := range r.Entries {
		if len(e.Data) < copyBelow {
			b = append(b, e.Data...)
			continue
		}
		if start < len(b) {
			pieces = append(pieces, b[start:len(b):len(b)])
			start = len(b)
		}
		pieces = append(pieces, e.Data)
	}
	if start < len(b) {
		pieces = append(pieces, b[start:])
	}
	return b, pieces
}

// decodeRequest decodes what appendRequest wrote. The message refers to b, an AppendEntries also to m.
func decodeRequest(b []byte, m *entryMemory) (any, error) {
	d := decoder{b: b}
	switch d.byte() {
	case typeAppend:
		return d.appendEntries(m)
	case typeVote:
		r := &raft.RequestVoteRequest{RPCHeader: d.header(), Term: d.uint(), LastLogIndex: d.uint(), LastLogTerm: d.uint(), LeadershipTransfer: d.bool()}
		return r, d.end()
	case typePreVote:
		r := &raft.RequestPreVoteRequest{RPCHeader: d.header(), Term: d.uint(), LastLogIndex: d.uint(), LastLogTerm: d.uint()}
		return r, d.end()
	case typeTimeoutNow:
		r := &raft.TimeoutNowRequest{RPCHeader: d.header()}
		return r, d.end()
	}
	return nil, errFormat
}

// entryMemory is what a decoded AppendEntries is made of, to be used again for the next one.
type entryMemory struct {
	request raft.AppendEntriesRequest
	entries []*raft.Log
	logs    []raft.Log
	sizes   []uint64
}

// room makes room for n entries.
func (m *entryMemory) room(n int) {
	if n > len(m.logs) {
		m.entries, m.logs, m.sizes = make([]*raft.Log, n), make([]raft.Log, n), make([]uint64, n)
	}
}

// forget lets go of the entries' data.
func (m *entryMemory) forget() { clear(m.logs[:len(m.request.Entries)]) }

func (d *decoder) appendEntries(m *entryMemory) (*raft.AppendEntriesRequest, error) {
	r := raft.AppendEntriesRequest{RPCHeader: d.header(), Term: d.uint(), PrevLogEntry: d.uint(), PrevLogTerm: d.uint(), LeaderCommitIndex: d.uint()}
	if n := d.count(4, maxEntries); n > 0 {
		m.room(n)
		r.Entries = m.entries[:n]
	}
	for i := range r.Entries {
		m.logs[i] = raft.Log{Type: raft.LogType(d.byte()), Index: d.uint(), Term: d.uint()}
		m.sizes[i] = d.uint()
		r.Entries[i] = &m.logs[i]
	}
	for i, e := range r.Entries {
		if size := m.sizes[i]; size > 0 {
			e.Data = d.take(size)
		}
	}
	m.request = r
	return &m.request, d.end()
}

// appendResponse appends the answer to a request.
func appendResponse(b []byte, response any) ([]byte, error) {
	switch r := response.(type) {
	case *raft.AppendEntriesResponse:
		b = appendUint(appendUint(append(b, typeAppend), r.Term), r.LastLog)
		return appendBool(appendBool(b, r.Success), r.NoRetryBackoff), nil
	case *raft.RequestVoteResponse:
		return appendBool(appendUint(append(b, typeVote), r.Term), r.Granted), nil
	case *raft.RequestPreVoteResponse:
		return appendBool(appendUint(append(b, typePreVote), r.Term), r.Granted), nil
	case *raft.TimeoutNowResponse:
		return append(b, typeTimeoutNow), nil
	}
	return nil, fmt.Errorf("%T: %w", response, errMessage)
}

// decodeResponse decodes an answer into response, which must be of the kind that was asked for.
func decodeResponse(b []byte, response any) error {
	d := decoder{b: b}
	header := raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}
	typ := d.byte()
	switch r := response.(type) {
	case *raft.AppendEntriesResponse:
		*r = raft.AppendEntriesResponse{RPCHeader: header, Term: d.uint(), LastLog: d.uint(), Success: d.bool(), NoRetryBackoff: d.bool()}
		return d.endOf(typ, typeAppend)
	case *raft.RequestVoteResponse:
		*r = raft.RequestVoteResponse{RPCHeader: header, Term: d.uint(), Granted: d.bool()}
		return d.endOf(typ, typeVote)
	case *raft.RequestPreVoteResponse:
		*r = raft.RequestPreVoteResponse{RPCHeader: header, Term: d.uint(), Granted: d.bool()}
		return d.endOf(typ, typePreVote)
	case *raft.TimeoutNowResponse:
		r.RPCHeader = header
		return d.endOf(typ, typeTimeoutNow)
	}
	return fmt.Errorf("%T: %w", response, errMessage)
}

func (d *decoder) endOf(typ, want byte) error {
	if typ != want {
		return errFormat
	}
	return d.end()
}
