package replication

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/log"
	"quorumlog/record"
)

// Outcome is what becomes of a batch. Result may be called when Done is closed.
type Outcome struct {
	mu   sync.Mutex
	done chan struct{}   // nil while nobody has asked: most are over before somebody does
	bell chan<- struct{} // of whoever waits for many: see AppendAs; nil for none
	over bool

	// Guarded by the partition's mu until the outcome is over, constant afterwards.
	result AppendResult
	err    error
}

// Append is a proposal on its way; its outcome is that of the commit. Duplicates of a batch in
// flight share one.
type Append struct {
	Outcome
	data    []byte
	written *Outcome // see AppendWritten; nil where nobody asked
	given   bool     // to AppendAs; its owner's

	// The tentative producer table's, guarded by the partition's mu.
	older, newer *Append      // those in flight before and after it of the same producer
	standing     log.Standing // of the producer after it
	shared       bool         // somebody else waits for it too
}

// AppendResult says where a batch is.
type AppendResult struct {
	BaseOffset    int64
	LogAppendTime int64 // ms, -1 when the records carry the producer's time
	StartOffset   int64 // of the log
	Duplicate     bool  // the batch had been appended before
	// Index is the batch's Raft index, for HeldBy; 0 for a duplicate, and before it is committed.
	Index uint64
}

// Done is closed when the outcome is known: the batch is committed and applied, or never mind.
func (o *Outcome) Done() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.over:
		return closed
	case o.done == nil:
		o.done = make(chan struct{})
	}
	return o.done
}

// settle wakes who waits; result and err are what they are to be.
func (o *Outcome) settle() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.over = true
	if o.done != nil {
		close(o.done)
	}
	if o.bell != nil {
		select {
		case o.bell <- struct{}{}:
		default:
		}
	}
}

// Known reports whether the outcome is: Result may be called.
func (o *Outcome) Known() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.over
}

// Result is the outcome; it may be called after Done.
func (o *Outcome) Result() (AppendResult, error) { return o.result, o.err }

// Written is the outcome for who is content with this leader's disk (acks=1): a later leader may
// not have the batch. The batch's memory stays in use until Done of the Append itself.
func (a *Append) Written() *Outcome {
	if a.written == nil {
		return &a.Outcome
	}
	return a.written
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Append proposes a batch and returns without waiting for the outcome; batches are decided and
// stored in the order of the calls. It waits for room where too much is in flight already, at
// most Limits.AppendWait.
//
// The batch belongs to the partition from now on: it gets its offset and epoch in place. After
// a success the caller may use the memory again; after an error never, since Raft may still
// hold it.
func (p *Partition) Append(b record.Batch) *Append { return p.AppendAs(&Append{}, b, nil) }

// AppendAs is Append in memory of the caller's, a zero Append that is part of something larger. The one that
// it returns is what to wait for: another, where the batch is in flight already or refused. Once the outcome
// of a is known the bell gets a token, if it has room.
func (p *Partition) AppendAs(a *Append, b record.Batch, bell chan<- struct{}) *Append {
	if len(b) < record.HeaderSize {
		return refused(record.ErrShort)
	}
	b.SetBaseOffset(-1)
	a.given, a.data, a.bell = true, b, bell
	return p.propose(a, checkSequence)
}

// Reset makes a, which was given to AppendAs, a zero Append again. It reports false, and a may not be used
// again, where somebody else may hold it: before its outcome is known, where that is an error, and where the
// same batch has come twice.
func (a *Append) Reset() bool {
	if !a.given {
		return true
	}
	a.mu.Lock() // which stays as it is: whoever settled a may not have let go of it yet
	defer a.mu.Unlock()
	if !a.over || a.err != nil || a.shared { // not before it is over: the partition may hold it though its data is gone
		return false
	}
	a.done, a.bell, a.over, a.result = nil, nil, false, AppendResult{}
	a.given, a.standing = false, log.Standing{}
	return true
}

// AppendWritten is Append for who waits for Written.
func (p *Partition) AppendWritten(b record.Batch) *Append {
	if len(b) < record.HeaderSize {
		return refused(record.ErrShort)
	}
	b.SetBaseOffset(-1)
	return p.propose(&Append{data: b, written: &Outcome{}}, checkSequence)
}

func refused(err error) *Append { return &Append{Outcome: Outcome{over: true, err: err}} }

// propose hands a batch or a command to Raft, if check lets it pass, which is asked about batches
// of a producer: see admit.
func (p *Partition) propose(a *Append, c check) *Append {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.awaitRoom(len(a.data)); err != nil {
		return refused(err)
	}
	if ofProducer(a.data) {
		if settled := p.admit(a, c); settled != nil {
			return settled
		}
	}
	p.proposals.push(a)
	p.written.asked(a)
	// This never blocks: see maxInflight. Raft's future tells nothing that the state machine or
	// the role does not tell: see settle.
	p.inst.Load().raft.ApplyLog(raft.Log{Data: a.data, Extensions: p.mark}, 0)
	return a
}

// check decides on a batch of a producer. It returns the answer to one that must not be appended;
// the partition's mu and the machine's are held.
type check func(p *Partition, b record.Batch) *Append

// admit decides on a batch of a producer, and works out the standing that follows.
func (p *Partition) admit(a *Append, c check) *Append {
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	b := record.Batch(a.data)
	if settled := c(p, b); settled != nil {
		return settled
	}
	a.standing = p.proposals.standing(b.ProducerID(), p.machine.producers).After(b)
	return nil
}

// checkSequence is the check of a batch with records.
func checkSequence(p *Partition, b record.Batch) *Append {
	twin, dup, err := p.proposals.check(b, p.machine.producers)
	if err != nil {
		return refused(err)
	}
	return p.repeated(b, twin, dup)
}

// repeated is the answer to a batch that is in flight or was appended before, nil for any other.
func (p *Partition) repeated(b record.Batch, twin *Append, dup *log.BatchRange) *Append {
	switch {
	case twin != nil:
		twin.shared = true
		return twin
	case dup != nil:
		r := AppendResult{BaseOffset: dup.Offset, LogAppendTime: -1, StartOffset: p.StartOffset(), Duplicate: true}
		if b.IsLogAppendTime() {
			r.LogAppendTime = dup.Timestamp
		}
		return &Append{Outcome: Outcome{over: true, result: r}}
	}
	return nil
}

// awaitRoom returns when the partition leads and has room for n bytes; the caller holds mu,
// which is let go meanwhile.
func (p *Partition) awaitRoom(n int) error {
	var deadline *time.Timer
	for {
		if p.refusal != nil {
			return p.refusal
		}
		if p.proposals.room(n) {
			return nil
		}
		if deadline == nil {
			deadline = time.NewTimer(p.node.Limits.AppendWait)
			defer deadline.Stop()
		}
		if p.freed == nil {
			p.freed = make(chan struct{})
		}
		freed := p.freed
		p.mu.Unlock()
		select {
		case <-freed:
			p.mu.Lock()
		case <-deadline.C:
			p.mu.Lock()
			return errOverloaded
		}
	}
}

// wakeAppends lets those who wait for room look again; the caller holds mu.
func (p *Partition) wakeAppends() {
	if p.freed != nil {
		close(p.freed)
		p.freed = nil
	}
}

// onApplied completes proposals. It runs on Raft's FSM goroutine.
func (p *Partition) onApplied(logs []*raft.Log, e effects) {
	p.publishWatermark()
	if in := p.inst.Load(); in != nil && in.admission.leads() {
		p.node.Transport.committed(p.config.Group, in.raft.CurrentTerm(), logs[len(logs)-1].Index)
	}
	p.mu.Lock()
	done := p.answered[:0]
	for _, l := range logs {
		if e.err != nil {
			break
		}
		if a := p.proposals.pop(l.Data); a != nil {
			a.result = p.resultOf(a)
			a.result.Index = l.Index
			a.tellWritten(a.result, nil)
			a.data = nil // the proposer may keep the rest for longer
			done = append(done, a)
		}
	}
	p.answered = done
	if len(done) > 0 {
		p.wakeAppends()
	}
	if e.lead != nil {
		p.led = e.lead
	}
	p.mu.Unlock()
	for i, a := range done {
		a.settle()
		done[i] = nil
	}
	p.afterApply(e)
}

// afterApply passes on what else a batch of entries brought.
func (p *Partition) afterApply(e effects) {
	if e.bytes > 0 || e.settings {
		p.wakeWatchers()
		p.noteAppended(e.bytes)
	}
	if e.lead != nil {
		p.look()
	}
	if e.settings {
		p.reconcile()
	}
	if e.err != nil {
		p.onWriteError(e.err)
	}
}

func (p *Partition) resultOf(a *Append) AppendResult {
	r := AppendResult{LogAppendTime: -1, StartOffset: p.StartOffset()}
	if len(a.data) <= maxCommandSize {
		return r
	}
	b := record.Batch(a.data)
	r.BaseOffset = b.BaseOffset()
	if b.IsLogAppendTime() {
		r.LogAppendTime = b.MaxTimestamp()
	}
	return r
}

// fail answers proposals whose outcome this replica will not learn.
func fail(lost []*Append, err error) {
	for _, a := range lost {
		a.tellWritten(AppendResult{}, err)
		a.err = err
		a.settle()
	}
}
