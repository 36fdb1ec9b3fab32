package replication

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// State is a partition's role as clients see it.
type State struct {
	Leader  int32 // node id, -1 while unknown
	Epoch   int32 // Raft term
	Leading bool  // this node leads and has applied everything of earlier leaders
}

// State returns the current role without a lock.
func (p *Partition) State() State { return *p.state.Load() }

// Term is Raft's term now, which an election that is under way has raised already.
func (p *Partition) Term() uint64 { return p.inst.Load().raft.CurrentTerm() }

// A mark names one leadership of this node: Raft's term, and a generation that also changes when
// a leadership is handed away in vain. Every proposal carries the mark it was accepted under.
type mark []byte

func newMark(term uint64, generation uint32) mark {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, term), generation)
}

func (m mark) term() uint64       { return binary.BigEndian.Uint64(m) }
func (m mark) generation() uint32 { return binary.BigEndian.Uint32(m[8:]) }

// is reports identity: a mark is made once and handed around.
func (m mark) is(o []byte) bool { return len(m) > 0 && len(o) > 0 && &m[0] == &o[0] }

// role is the leader-only state; the partition's mu guards it.
type role struct {
	mark       mark   // of the leadership that is asserted or held, nil for none
	led        []byte // mark of the last commandLead that was applied
	refusal    error  // why Append refuses, nil while leading
	handing    bool   // leadership is being transferred
	handed     bool   // a transfer failed: Raft may refuse proposals for a moment longer
	standing   bool   // a campaign is scheduled
	campaigns  int    // since this node last led
	generation atomic.Uint32
}

// current reports whether a proposal accepted under m may be stored in this term. It is asked by
// Raft's main goroutine.
func (p *Partition) current(m []byte, term uint64) bool {
	return mark(m).term() == term && mark(m).generation() == p.generation.Load()
}

// looker runs settle on a goroutine that exists while there is something to look at, never
// twice at once. Raft's goroutines call look: it takes no other lock and never blocks.
type looker struct {
	mu      sync.Mutex
	running bool
	again   bool
	closed  bool
	broken  error // a write failed in a way that ends the Raft instance
	install *installation
	idle    sync.WaitGroup
}

// look has the role settled anew.
func (p *Partition) look() {
	l := &p.looker
	l.mu.Lock()
	defer l.mu.Unlock()
	l.again = true
	if l.running || l.closed {
		return
	}
	l.running = true
	l.idle.Go(p.settleAll)
}

func (p *Partition) settleAll() {
	l := &p.looker
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.again && !l.closed {
		l.again = false
		broken, install := l.broken, l.install
		l.install = nil
		l.mu.Unlock()
		switch {
		case broken != nil:
			p.restart(broken)
			if install != nil {
				install.done <- errInterrupted
			}
		case install != nil:
			p.install(install)
		default:
			p.settle()
		}
		l.mu.Lock()
	}
	l.running = false
}

// close waits until nothing settles any more.
func (l *looker) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.idle.Wait()
}

// settle compares what Raft says with what the partition holds itself to be. A change that it
// misses brings another call.
func (p *Partition) settle() {
	in := p.inst.Load()
	leads, term, leader := in.role()

	p.mu.Lock()
	next := State{Leader: leader, Epoch: int32(term)}
	var lost []*Append
	var propose mark
	cause := p.lostBy(next)
	switch {
	case p.closing || p.stopped: // what it was told last stays
		p.mu.Unlock()
		return
	case !leads:
		lost = p.stepDown(cause)
		p.standIfAlone(in)
	case p.handing:
	case p.mark == nil || p.mark.term() != term:
		lost = p.stepDown(cause)
		p.mark = newMark(term, p.generation.Add(1))
		propose = p.mark
	case p.mark.is(p.led):
		next.Leading = true
		if p.refusal != nil { // not merely confirmed
			p.refusal, p.campaigns, p.handed, p.lastWriteError = nil, 0, false, nil
		}
	case p.handed:
		propose = p.mark
	}
	if p.handed && propose != nil {
		p.later(handedRetry, p.look)
	}
	changed := p.publish(next)
	p.mu.Unlock()

	fail(lost, cause)
	if propose != nil {
		in.raft.ApplyLog(raft.Log{Data: command{typ: commandLead}.encode(), Extensions: propose}, 0)
	}
	if changed {
		p.announce(next)
	}
}

// handedRetry is how soon a leader that could not hand over asserts itself again.
const handedRetry = 50 * time.Millisecond

// lostBy says why a replica that does not lead refuses: its disk, unless somebody else leads.
// The caller holds mu.
func (p *Partition) lostBy(next State) error {
	if err := p.writeError.Swap(nil); err != nil {
		p.lastWriteError = *err
	}
	if p.lastWriteError != nil && (next.Leader < 0 || next.Leader == p.node.ID) {
		return storageError(p.lastWriteError)
	}
	return ErrNotLeader
}

// stepDown stops accepting and returns what was in flight; the caller holds mu and fails them.
func (p *Partition) stepDown(cause error) []*Append {
	p.generation.Add(1)
	p.mark, p.refusal, p.verifications = nil, cause, nil
	p.wakeAppends()
	return p.proposals.abandon()
}

// publish makes a state visible and reports whether it is new; the caller holds mu.
func (p *Partition) publish(next State) bool {
	if *p.state.Load() == next {
		return false
	}
	p.state.Store(&next)
	return true
}

func (p *Partition) announce(s State) {
	p.wakeWatchers()
	if s.Leading {
		p.reconcile()
	}
	if p.config.OnRole != nil {
		p.config.OnRole(p, s)
	}
}

// standIfAlone has a group of one lead again, at once the first time, then with growing pauses;
// the caller holds mu.
func (p *Partition) standIfAlone(in *instance) {
	if p.standing || !in.alone() || in.raft.State() != raft.Follower {
		return
	}
	p.standing = true
	pause := time.Duration(0)
	if p.campaigns > 0 {
		pause = p.node.Timing.Campaign << min(p.campaigns-1, 7)
	}
	p.campaigns++
	stand := func() {
		p.mu.Lock()
		p.standing = false
		replaced := p.inst.Load() != in
		p.mu.Unlock()
		switch {
		case replaced:
			p.look()
		case in.raft.State() == raft.Follower:
			in.transport.Campaign()
		}
	}
	if pause > 0 {
		p.later(pause, stand)
		return
	}
	p.standing = false
	in.transport.Campaign()
}

// later calls f after a pause, unless the partition has been closed; the caller holds mu.
func (p *Partition) later(pause time.Duration, f func()) {
	var t *time.Timer
	t = time.AfterFunc(pause, func() {
		p.mu.Lock()
		delete(p.timers, t)
		closing := p.closing
		p.mu.Unlock()
		if !closing {
			f()
		}
	})
	p.timers[t] = struct{}{}
}
