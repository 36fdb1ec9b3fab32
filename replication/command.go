package replication

import (
	"encoding/binary"
	"errors"
	"fmt"

	"quorumlog/record"
)

// A command is an entry that speaks to the partition itself. It is shorter than any batch, which
// is how the two are told apart in a Raft entry.
//
//	version uint8 (1), type uint8, offset int64 (startAt only)
type command struct {
	typ    commandType
	offset int64
}

// commandType is written to the log: never renumber.
type commandType uint8

const (
	// commandLead is a new leader's first entry of its own: once it is applied, everything of
	// earlier terms is, and the leader may accept batches. It plays the part of a barrier, but
	// is seen by the state machine.
	commandLead commandType = 1
	// commandStartAt moves the log start offset forward (DeleteRecords).
	commandStartAt commandType = 2
)

const (
	commandVersion = 1
	maxCommandSize = record.HeaderSize - 1
)

var errCommand = errors.New("malformed command")

func (c command) encode() []byte {
	b := []byte{commandVersion, byte(c.typ)}
	if c.typ == commandStartAt {
		b = binary.BigEndian.AppendUint64(b, uint64(c.offset))
	}
	return b
}

func parseCommand(b []byte) (command, error) {
	if len(b) < 2 || b[0] != commandVersion {
		return command{}, fmt.Errorf("%w: % x", errCommand, b[:min(len(b), 16)])
	}
	c := command{typ: commandType(b[1])}
	switch rest := b[2:]; {
	case c.typ == commandLead && len(rest) == 0:
	case c.typ == commandStartAt && len(rest) == 8:
		c.offset = int64(binary.BigEndian.Uint64(rest))
	default:
		return command{}, fmt.Errorf("%w: type %d of %d bytes", errCommand, c.typ, len(b))
	}
	return c, nil
}
