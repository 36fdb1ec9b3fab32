package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// snapshotTimeout bounds the transfer of a snapshot, some megabytes at most.
	snapshotTimeout = time.Minute
	// maxSnapshotHeader bounds what precedes it: the members are the most of it.
	maxSnapshotHeader = 1 << 20
)

// snapshotAnswer is what the receiver of a snapshot says.
type snapshotAnswer struct {
	Term    uint64
	Success bool
	Error   string
}

// send sends a snapshot over a stream of its own: the request with its length before it, the
// bytes, and back the answer.
func (t *transport) send(to int32, r *raft.InstallSnapshotRequest, answer *raft.InstallSnapshotResponse, data io.Reader) error {
	ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
	defer cancel()
	conn, err := t.stream(ctx, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(snapshotTimeout)); err != nil {
		return err
	}
	if err := writeFramed(conn, r); err != nil {
		return err
	}
	if _, err := io.CopyN(conn, data, r.Size); err != nil {
		return err
	}
	var a snapshotAnswer
	if err := readFramed(conn, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	answer.RPCHeader, answer.Term, answer.Success = r.RPCHeader, a.Term, a.Success
	return nil
}

// ReceiveSnapshot takes a snapshot from a leader's stream, which Options.OpenStream opened on
// another node, and answers. The stream stays the caller's to close.
func (m *Metadata) ReceiveSnapshot(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(snapshotTimeout)); err != nil {
		return err
	}
	var r raft.InstallSnapshotRequest
	if err := readFramed(conn, &r); err != nil {
		return err
	}
	if r.Size < 0 {
		return fmt.Errorf("%w: snapshot of %d bytes", ErrCorrupt, r.Size)
	}
	if m.transport.stream == nil {
		return errors.New("this member takes no snapshots from streams")
	}
	answered := make(chan raft.RPCResponse, 1)
	select {
	case m.transport.rpcs <- raft.RPC{Command: &r, Reader: io.LimitReader(conn, r.Size), RespChan: answered}:
	case <-m.closing:
		return ErrClosed
	}
	var a snapshotAnswer
	select {
	case x := <-answered:
		if x.Error != nil {
			a.Error = x.Error.Error()
		} else if y, ok := x.Response.(*raft.InstallSnapshotResponse); ok {
			a.Term, a.Success = y.Term, y.Success
		}
	case <-m.stopped:
		return ErrClosed
	}
	return writeFramed(conn, a)
}

func writeFramed(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

func readFramed(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxSnapshotHeader {
		return fmt.Errorf("%w: header of %d bytes", ErrCorrupt, n)
	}
	body, err := io.ReadAll(io.LimitReader(r, int64(n))) // grows as bytes arrive
	if err != nil {
		return err
	}
	if len(body) < int(n) {
		return io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

// Consumer is where Raft takes requests from: those of the inner transport, and snapshots.
func (t *transport) Consumer() <-chan raft.RPC {
	if t.stream == nil {
		return t.Transport.Consumer()
	}
	go func() {
		for {
			select {
			case r := <-t.Transport.Consumer():
				select {
				case t.rpcs <- r:
				case <-t.closing:
					return
				}
			case <-t.closing:
				return
			}
		}
	}()
	return t.rpcs
}
