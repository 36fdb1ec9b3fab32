package replication

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/log"
)

// ReceiveSegments takes a stream that another node opened by SegmentRoute.Ship, and returns when
// it is done with it. The caller closes the stream.
func (t *Transport) ReceiveSegments(from int32, header []byte, conn net.Conn) error {
	h, err := parseShipHeader(header)
	if err != nil {
		return fmt.Errorf("node %d: %w", from, err)
	}
	t.mu.RLock()
	g := t.groups[h.group]
	t.mu.RUnlock()
	if g == nil || g.receive == nil {
		err := fmt.Errorf("group %s: %w", h.group, errNoGroup)
		conn.SetWriteDeadline(time.Now().Add(refusalLimit))
		return errors.Join(err, shipAnswer{status: shipRefused, text: err.Error()}.write(conn))
	}
	return g.receive(h, conn)
}

// Reasons not to take segments; the leader tries again.
var (
	errBusy        = errors.New("too many transfers at once")
	errTermPassed  = errors.New("a later term has begun")
	errInterrupted = errors.New("the replica was opened anew meanwhile")
)

// receive takes over a log from the leader. It runs on the stream's goroutine.
func (p *Partition) receive(h shipHeader, conn net.Conn) error {
	defer context.AfterFunc(p.life, func() { conn.Close() })()
	term, err := p.receiveFrom(h, conn)
	a := shipAnswer{status: shipDone, term: term}
	switch {
	case errors.Is(err, errTermPassed):
		a.status, err = shipStale, nil
	case err != nil:
		a.status, a.text = shipRefused, err.Error()
		p.logger.Warn("segments not received; the leader tries again", "group", p.config.Group, "err", err)
	}
	conn.SetWriteDeadline(time.Now().Add(refusalLimit))
	return errors.Join(err, a.write(conn))
}

// refusalLimit bounds the wait for a leader that is writing to read why that is of no use.
const refusalLimit = time.Second

func (p *Partition) receiveFrom(h shipHeader, conn net.Conn) (term uint64, err error) {
	if !p.receiving.TryLock() {
		return 0, errBusy
	}
	defer p.receiving.Unlock()
	select {
	case p.node.receiving <- struct{}{}:
		defer func() { <-p.node.receiving }()
	default:
		return 0, errBusy
	}
	if term, err = p.acknowledge(h); err != nil {
		return term, err
	}
	conn.SetDeadline(time.Now().Add(stallLimit))
	if err := (shipAnswer{status: shipGoOn, term: h.term}).write(conn); err != nil {
		return 0, err
	}
	b, err := readManifest(patient{conn})
	if err != nil {
		return 0, err
	}
	c, err := log.DecodeCheckpoint(b)
	if err != nil {
		return 0, err
	}
	if p.inst.Load().holds(c, p.machine.appliedIndex()) {
		return h.term, nil
	}
	in, err := log.Receive(p.config.Dir, c, p.logOptions())
	if err != nil {
		return 0, err
	}
	defer in.Close()
	if err := p.receiveParts(h, in, c, conn); err != nil {
		return 0, err
	}
	return p.askInstall(&installation{incoming: in, checkpoint: c, term: h.term, done: make(chan error, 1)})
}

// acknowledge lets Raft know of the leader, as any of its messages would, and returns the term.
func (p *Partition) acknowledge(h shipHeader) (uint64, error) {
	r, err := p.node.Transport.Deliver(p.life, h.group, h.heartbeat(), stallLimit)
	if err != nil {
		return 0, err
	}
	if answer := r.(*raft.AppendEntriesResponse); answer.Term > h.term {
		return answer.Term, errTermPassed
	}
	return h.term, nil
}

// receiveParts receives what the replica has not got.
func (p *Partition) receiveParts(h shipHeader, in *log.Incoming, c *log.Checkpoint, conn net.Conn) error {
	from, err := in.Missing(p.log())
	if err != nil {
		return err
	}
	conn.SetWriteDeadline(time.Now().Add(stallLimit))
	if err := (shipAnswer{status: shipGoOn, term: h.term}).write(conn); err != nil {
		return err
	}
	if err := writeMissing(conn, from); err != nil {
		return err
	}
	for i, part := range c.Parts() {
		if from[i] == part.Size {
			continue
		}
		if err := in.Write(i, from[i], patient{conn}); err != nil {
			return err
		}
	}
	return nil
}

// patient reads with a deadline that every byte puts off.
type patient struct{ conn net.Conn }

func (r patient) Read(b []byte) (int, error) {
	r.conn.SetReadDeadline(time.Now().Add(stallLimit))
	return r.conn.Read(b)
}

// holds reports whether the replica has all that a checkpoint describes: the same last entry
// means the same log, and what follows it must be kept, since it may have been acknowledged.
// Otherwise what the replica has beyond is not the leader's, and was never committed.
func (in *instance) holds(c *log.Checkpoint, applied uint64) bool {
	if c.Index <= applied {
		return true
	}
	term, err := in.log.Term(c.Index)
	return err == nil && term == c.Term
}

// installation is a received log that is to take the place of the replica's own.
type installation struct {
	incoming   *log.Incoming
	checkpoint *log.Checkpoint
	term       uint64 // of the leader that sent it
	done       chan error
}

// askInstall has the partition's own goroutine replace the log, and waits for it.
func (p *Partition) askInstall(x *installation) (uint64, error) {
	p.looker.mu.Lock()
	p.looker.install = x
	p.looker.mu.Unlock()
	p.look()
	select {
	case err := <-x.done:
		if errors.Is(err, errTermPassed) {
			return p.inst.Load().raft.CurrentTerm(), err
		}
		return x.term, err
	case <-p.life.Done():
		return 0, p.withdraw(x)
	}
}

// withdraw takes an installation back that has not begun, and waits for one that has: the
// files are its own until then.
func (p *Partition) withdraw(x *installation) error {
	p.looker.mu.Lock()
	begun := p.looker.install != x
	if !begun {
		p.looker.install = nil
	}
	p.looker.mu.Unlock()
	if begun {
		if err := <-x.done; err != nil {
			p.logger.Debug("an installation failed that nobody waited for any more", "group", p.config.Group, "err", err)
		}
	}
	return errClosing
}

// install replaces the log and starts Raft on the new one. It runs where settle does.
func (p *Partition) install(x *installation) {
	if !p.suspend(errInstalling) {
		x.done <- errClosing
		return
	}
	old := p.inst.Load()
	old.stop()
	err := p.swap(old, x)
	p.reopen(old, errInstalling)
	p.publishWatermark()
	p.wakeWatchers()
	if err == nil {
		p.logger.Info("log received from the leader", "group", p.config.Group, "entry", x.checkpoint.Index)
	}
	x.done <- err
}

var errInstalling = fmt.Errorf("%w: taking over the leader's segments", ErrUnavailable)

// swap puts the received log in the place of a stopped instance's.
func (p *Partition) swap(old *instance, x *installation) error {
	if term, err := old.stable.GetUint64([]byte(keyTerm)); err == nil && term > x.term {
		return errTermPassed
	}
	if old.holds(x.checkpoint, p.machine.appliedIndex()) {
		return x.incoming.Discard()
	}
	old.log.Close()
	return x.incoming.Install(old.log)
}
