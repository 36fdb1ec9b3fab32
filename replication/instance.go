package replication

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/internal/durable"
	"quorumlog/log"
)

// instance is one run of Raft on a partition's files. A log that failed gets another.
type instance struct {
	log       *log.Log
	raft      *raft.Raft
	store     *logStore
	stable    *GroupStore
	transport *GroupTransport
	admission *admission
	followers *followers
	feeding   feeding
	id        raft.ServerID
}

// start opens the files and runs Raft on them. durable is the last entry that may be believed
// to be on disk, for a log that failed to sync before: the kernel's cache may hold more.
func (p *Partition) start(durable uint64) (*instance, error) {
	l, c, err := log.Open(p.config.Dir, p.logOptions())
	if err != nil {
		return nil, err
	}
	switch {
	case p.machine == nil:
		p.machine = newMachine(c)
		p.machine.applied = p.onApplied
	case c != nil && p.machine.restore(c):
		durable = l.LastIndex() // another log stands in the place of the one that failed
	}
	in, err := p.run(l, durable)
	if err != nil {
		l.Close()
		return nil, err
	}
	return in, nil
}

func (p *Partition) logOptions() log.Options {
	return log.Options{
		Files: p.node.Files, Syncer: p.node.Syncer, Logger: p.logger, Now: p.node.Now,
		SegmentBytes: p.segmentBytes.Load(), SegmentMs: p.segmentMs.Load(),
	}
}

func (p *Partition) run(l *log.Log, durable uint64) (*instance, error) {
	if l.LastIndex() > durable {
		if err := l.TruncateSuffix(durable + 1); err != nil {
			return nil, err
		}
	}
	id := p.node.self().serverID()
	in := &instance{log: l, id: id, stable: p.node.Stable.Group(p.config.Group)}
	in.admission = &admission{id: id}
	in.followers = newFollowers(l.LastIndex, p.node.now)
	in.store = &logStore{log: l, current: p.current, applied: p.machine.appliedIndex, hold: in.stable.setHolding}
	in.store.leads = in.admission.leads
	in.store.writing = p.written.store
	in.store.failed = func(err error) { p.onWriteError(err) }
	in.store.durable = newDurability(l.LastIndex, l.Sync, in.store.failed, p.onDurable)
	if err := in.bootstrap(p.config.Voters, p.node.self()); err != nil {
		return nil, err
	}
	if err := p.machine.attach(l, in.store.durable.reach); err != nil {
		return nil, err
	}
	if l.Recovered().Scanned > 0 && len(p.config.Voters) != 1 {
		// After a kill the log may hold entries that were written and not synced, and a follower
		// will tell its leader that it has them.
		if err := l.Sync(); err != nil {
			return nil, err
		}
	}
	in.transport = p.node.Transport.prepare(&GroupTransport{
		name: p.config.Group, admission: in.admission, followers: in.followers,
		load: in.store.load, durable: in.store.durable, onAnswer: in.onAnswer, onInstalled: in.onInstalled, told: p.onHeard, maxBytes: p.node.Limits.RequestBytes,
		ship: (&shipper{p.node, in, p.config.Group}).send, receive: p.receive,
	})
	in.store.tail, in.store.fed = p.node.Limits.TailBytes, in.feeding.from
	in.store.ships = func() bool { return p.node.Transport.segments.Load() != nil && in.admission.leads() }
	var err error
	in.raft, err = raft.NewRaft(raftConfig(id, p.node.Timing, p.logger), p.machine, in.store, in.stable, snapshots{p.machine}, in.transport)
	if err != nil {
		in.transport.Close()
		return nil, err
	}
	in.admission.raft.Store(in.raft)
	in.transport.open() // a vote that came before would be refused
	in.raft.RegisterObserver(raft.NewObserver(nil, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.RaftState, raft.LeaderObservation:
			p.look()
		}
		return false
	}))
	return in, nil
}

// bootstrap gives an empty log its first entry, the membership. All first members write the
// same one; a replica that is not among them, or that was evicted, waits to be added. A term that
// is behind the log is brought up: a crash may have come in between.
func (in *instance) bootstrap(voters []Member, self Member) error {
	past := in.stable.past()
	if in.log.LastIndex() == 0 && past == pastHolding {
		return fmt.Errorf("%s: %w", in.log.Dir(), ErrEmptied)
	}
	if in.log.LastIndex() == 0 && past == pastNone && slices.Contains(voters, self) {
		first := raft.Log{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(configuration(voters))}
		if err := in.store.store([]*raft.Log{&first}); err != nil {
			return err
		}
	}
	last := in.log.LastIndex()
	if last == 0 {
		return nil
	}
	term := uint64(0)
	if last >= in.log.FirstIndex() {
		var err error
		if term, err = in.log.Term(last); err != nil {
			return err
		}
	}
	in.stable.setHolding(term)
	return nil
}

// role is what Raft says now; the three values may belong to different moments.
func (in *instance) role() (leads bool, term uint64, leader int32) {
	leads = in.raft.State() == raft.Leader
	term = in.raft.CurrentTerm()
	if leads {
		return leads, term, memberOf(in.id).Node
	}
	return leads, term, in.transport.leaderIn(term)
}

// onHeard looks at the role where a leader's request says something else. Raft gives no notice of
// a leader that stays the same from one term to the next.
func (p *Partition) onHeard() {
	in := p.inst.Load()
	if in == nil {
		return
	}
	if h, s := in.transport.heard.Load(), p.State(); h.leader != s.Leader || h.term != uint64(s.Epoch) {
		p.look()
	}
}

func nodeOf(addr raft.ServerAddress) int32 {
	n, err := strconv.ParseInt(string(addr), 10, 32)
	if err != nil {
		return -1
	}
	return int32(n)
}

// alone reports whether this replica is the only voter.
func (in *instance) alone() bool {
	voters, me := 0, false
	for _, s := range in.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter {
			voters++
			me = me || s.ID == in.id
		}
	}
	return me && voters == 1
}

// stop ends Raft and waits for its goroutines; it does not close the log, which may be read.
func (in *instance) stop() {
	in.transport.Close()
	in.stable.stop()
	in.raft.Shutdown().Error()
	in.store.durable.close()
}

// onInstalled is told that a member has got all segment files up to an entry.
func (in *instance) onInstalled(id raft.ServerID, index uint64) {
	in.feeding.begin(id, index, in.log.SizeAfter(index), in.store.tail)
}

// onAnswer is told of a member's answer to a request in its own term. It looks for damage in what
// was refused: a leader does not check what it sends, for speed. Only while it leads is what it
// reads not being overwritten.
func (in *instance) onAnswer(id raft.ServerID, r *raft.AppendEntriesRequest, success bool) {
	if success {
		in.feeding.got(id, r.PrevLogEntry+uint64(len(r.Entries)), in.log.SizeAfter, in.store.tail)
		return
	}
	if err := verify(r.Entries); err != nil && in.admission.leads() && in.raft.CurrentTerm() == r.Term {
		in.store.failed(err)
	}
}

// onWriteError is told by Raft's goroutines of a write that failed, and of a committed entry
// that cannot be applied. A leader's clean failure needs nothing: Raft steps down, and the log
// is as it was. After any other the instance is replaced.
func (p *Partition) onWriteError(err error) {
	p.writeError.Store(&err)
	in := p.inst.Load()
	if in != nil && in.raft.State() == raft.Leader && !needsReopen(err) {
		p.look()
		return
	}
	p.setBroken(err)
	p.look()
}

func needsReopen(err error) bool {
	return errors.Is(err, log.ErrFailed) || errors.Is(err, log.ErrMismatch) || errors.Is(err, log.ErrCorrupt) || errors.Is(err, errCommand)
}

// hopeless reports whether opening the files again would not help: this replica has to be
// rebuilt from the others.
func hopeless(err error) bool {
	return errors.Is(err, log.ErrMismatch) || errors.Is(err, log.ErrCorrupt) || errors.Is(err, errCommand)
}

// restart replaces an instance whose log failed. It runs where settle does.
func (p *Partition) restart(cause error) {
	heir := p.heirOf(cause)
	if !p.suspend(storageError(cause)) {
		return
	}
	old := p.inst.Load()
	if hopeless(cause) {
		old.handOff(p.life, heir)
		old.stop()
		p.setBroken(nil)
		p.giveUp(cause)
		return
	}
	old.stop()
	if wait := p.reopening.wait(old.store.durable.index.Load()); wait > 0 {
		p.reopenLater(cause, wait)
		return
	}
	p.logger.Warn("log failed; opening it again", "group", p.config.Group, "err", cause)
	p.reopen(old, cause)
}

// handOff gives the lead of a replica that is to stop for good to another, which the group would
// otherwise miss only after its election timeout.
func (in *instance) handOff(ctx context.Context, heir raft.ServerID) {
	if heir != "" && in.raft.State() == raft.Leader {
		_ = in.transfer(ctx, heir, handOffLimit) // they elect one by themselves
	}
}

// handOffLimit is half the time that the heir of a damaged leader has.
const handOffLimit = 250 * time.Millisecond

// reopening spaces out the attempts to open a log that fails time and again, as on a disk that
// takes no writes any more. It belongs to where settle runs.
type reopening struct {
	durable uint64 // the last entry on disk at the last attempt: a further one ends the series
	tries   int
	next    time.Time
}

// The pauses between attempts to open a log on which nothing could be written since the last one.
const (
	reopenPause    = time.Second
	reopenDoubling = 6 // times at most
)

// wait returns how long to wait before the next attempt; for 0 it is made now.
func (r *reopening) wait(durable uint64) time.Duration {
	if durable != r.durable {
		*r = reopening{durable: durable}
	}
	now := time.Now()
	if wait := r.next.Sub(now); wait > 0 {
		return wait
	}
	r.next = now.Add(reopenPause << min(r.tries, reopenDoubling))
	r.tries++
	return 0
}

// reopenLater tries to replace a stopped instance after a pause.
func (p *Partition) reopenLater(cause error, pause time.Duration) {
	p.setBroken(cause)
	p.mu.Lock()
	p.later(pause, p.look)
	p.mu.Unlock()
}

// heirOf is who should lead when this replica, which does, stops for good; "" for nobody.
func (p *Partition) heirOf(cause error) raft.ServerID {
	if !hopeless(cause) {
		return ""
	}
	_, m, leading := p.membership()
	if !leading {
		return ""
	}
	id, _ := m.choose(-1)
	return id
}

// suspend ends the role of an instance that is about to be replaced, unless the partition is
// closing or was given up.
func (p *Partition) suspend(cause error) bool {
	p.mu.Lock()
	if p.closing || p.stopped {
		p.mu.Unlock()
		return false
	}
	lost := p.stepDown(cause)
	state := State{Leader: -1, Epoch: p.State().Epoch}
	changed := p.publish(state)
	p.mu.Unlock()
	fail(lost, cause)
	if changed {
		p.announce(state)
	}
	return true
}

// reopen starts an instance in the place of a stopped one.
func (p *Partition) reopen(old *instance, cause error) {
	p.setBroken(nil) // from now on it is the next instance's
	in, err := p.start(old.store.durable.index.Load())
	switch {
	case err == nil:
		p.replace(old, in)
	case hopeless(err):
		p.giveUp(err)
	default:
		p.logger.Warn("log cannot be opened", "group", p.config.Group, "err", err)
		p.reopenLater(cause, reopenPause)
	}
}

func (p *Partition) giveUp(cause error) {
	p.logger.Error("replica stopped: its log does not agree with what was committed; rebuild it from the others",
		"group", p.config.Group, "dir", p.config.Dir, "err", cause)
	p.mu.Lock()
	first := !p.stopped
	p.stopped, p.refusal = true, storageError(cause)
	p.mu.Unlock()
	if first && p.config.OnFailed != nil {
		p.config.OnFailed(p, cause)
	}
}

// replace makes an instance the current one. A partition that is closing closes it.
func (p *Partition) replace(old, in *instance) {
	p.mu.Lock()
	p.inst.Store(in)
	p.campaigns = max(p.campaigns, 1) // the next campaign waits its turn
	p.mu.Unlock()
	old.log.Close()
	p.look()
}

// setBroken says why the instance must be replaced; nil for one that need not.
func (p *Partition) setBroken(err error) {
	p.looker.mu.Lock()
	p.looker.broken = err
	p.looker.mu.Unlock()
}

// Remove stops the replica and deletes its files and, last, what the stable store has of it: a
// crash in between leaves a term without a log, which is harmless, never a log without its vote.
func (p *Partition) Remove() error {
	p.removing.Store(true)
	if err := p.Close(); err != nil {
		return err
	}
	doomed := p.config.Dir + RemovedSuffix
	if err := os.Rename(p.config.Dir, doomed); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove partition: %w", err)
	}
	if err := durable.Dir(filepath.Dir(p.config.Dir)); err != nil {
		return fmt.Errorf("remove partition: %w", err)
	}
	doomedToo, err := besides(p.config.Dir)
	for _, path := range append(doomedToo, doomed) {
		err = errors.Join(err, p.node.Files.RemoveAll(path))
	}
	if err != nil {
		return fmt.Errorf("remove partition: %w", err)
	}
	return p.node.Stable.RemoveGroup(p.config.Group)
}

// RemovedSuffix marks a partition's directory that is being deleted. One that a crash left
// behind may be deleted whenever it is seen.
const RemovedSuffix = ".removed"
