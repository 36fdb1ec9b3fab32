package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/log"
)

// SegmentRoute opens a stream to a node, apart from what Route carries, for the segment files of
// a replica that is far behind. There the header and the stream go to Transport.ReceiveSegments.
// The stream should be one that sendfile can write to.
type SegmentRoute interface {
	Ship(ctx context.Context, to int32, header []byte) (net.Conn, error)
}

// SetSegmentRoute says how segment files reach other nodes. Without it every entry travels by
// AppendEntries, and a follower that needs one which retention has removed stays behind.
func (t *Transport) SetSegmentRoute(r SegmentRoute) { t.segments.Store(&r) }

// Bounds on one transfer.
const (
	shipChunk   = 1 << 20
	stallLimit  = 30 * time.Second // without any byte moving
	answerLimit = 5 * time.Minute  // for the receiver to look through what it has, or to install
	shipWatch   = 100 * time.Millisecond
)

var errLedNoMore = fmt.Errorf("transfer of segments: %w", ErrNotLeader)

// shipment is what snapshots.Open gives Raft for a snapshot's bytes: the applied state when the
// transfer began, and the log that it speaks of.
type shipment struct {
	checkpoint log.Checkpoint
	log        *log.Log
	release    func() // of the hold on the log's files
	closed     sync.Once
}

// Read returns no bytes: the segment files do not pass through Raft.
func (*shipment) Read([]byte) (int, error) { return 0, io.EOF }

// Close lets the log's files be compacted again.
func (s *shipment) Close() error {
	s.closed.Do(s.release)
	return nil
}

// shipper sends a replica's segments, as long as it leads.
type shipper struct {
	node  *Node
	in    *instance
	group string
}

// send brings a member up to the shipment's index, and returns the term that it answers with.
func (s *shipper) send(id raft.ServerID, term uint64, sh *shipment) (uint64, error) {
	ctx, cancel := context.WithCancelCause(s.in.transport.life)
	defer cancel(nil)
	go s.watch(ctx, cancel, id, term)
	select {
	case s.node.sending <- struct{}{}:
		defer func() { <-s.node.sending }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	route := s.node.Transport.segments.Load()
	if route == nil {
		return 0, fmt.Errorf("segments of %s: %w", s.group, ErrNoRoute)
	}
	if err := sh.log.Describe(&sh.checkpoint); err != nil {
		return 0, err
	}
	header := shipHeader{term, s.group, string(s.in.id), string(s.in.transport.LocalAddr())}
	conn, err := (*route).Ship(ctx, memberOf(id).Node, header.encode())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	got, err := s.converse(ctx, conn, sh)
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	return got, err
}

// watch ends a transfer when this replica does not lead any more, or the other is no member.
func (s *shipper) watch(ctx context.Context, cancel context.CancelCauseFunc, id raft.ServerID, term uint64) {
	t := time.NewTicker(shipWatch)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			r := s.in.admission.raft.Load()
			_, member := suffrageOf(r.GetConfiguration().Configuration(), id)
			if !member || r.State() != raft.Leader || r.CurrentTerm() != term {
				cancel(errLedNoMore)
				return
			}
		}
	}
}

func (s *shipper) converse(ctx context.Context, conn net.Conn, sh *shipment) (uint64, error) {
	manifest, err := sh.checkpoint.Encode()
	if err != nil {
		return 0, err
	}
	answer, err := s.answer(conn) // whether it can take any now
	if err != nil || answer.status != shipGoOn {
		return answer.term, err
	}
	conn.SetDeadline(time.Now().Add(stallLimit))
	if err := writeManifest(conn, manifest); err != nil {
		return 0, err
	}
	answer, err = s.answer(conn) // what it lacks
	if err != nil || answer.status != shipGoOn {
		return answer.term, err
	}
	parts := sh.checkpoint.Parts()
	sizes := make([]int64, len(parts))
	for i, p := range parts {
		sizes[i] = p.Size
	}
	from, err := readMissing(conn, sizes)
	if err != nil {
		return 0, err
	}
	for i, p := range parts {
		if from[i] < p.Size {
			if err := s.sendPart(ctx, conn, sh.log, p, from[i]); err != nil {
				return 0, err
			}
		}
	}
	answer, err = s.answer(conn) // whether it is installed
	if err == nil && answer.status == shipGoOn {
		err = errShipWire
	}
	return answer.term, err
}

var errShipRefused = errors.New("the other replica refuses the segments")

func (s *shipper) answer(conn net.Conn) (shipAnswer, error) {
	conn.SetReadDeadline(time.Now().Add(answerLimit))
	a, err := readShipAnswer(conn)
	if err == nil && a.status == shipRefused {
		err = fmt.Errorf("%w: %s", errShipRefused, a.text)
	}
	return a, err
}

// sendPart sends a file in pieces, each within the node's rate and the stall limit.
func (s *shipper) sendPart(ctx context.Context, conn net.Conn, l *log.Log, p log.Part, from int64) error {
	f, err := l.OpenPart(p)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err
	}
	for from < p.Size {
		n := min(shipChunk, p.Size-from)
		if err := s.node.shipping.Wait(ctx, n, float64(s.node.Limits.ShipRate)); err != nil {
			return err
		}
		conn.SetDeadline(time.Now().Add(stallLimit))
		if _, err := io.CopyN(conn, f, n); err != nil {
			return err
		}
		s.node.shipped.Add(n)
		from += n
	}
	return nil
}
