package replication

import (
	"quorumlog/log"
	"quorumlog/record"
)

// verification is what a leader keeps of a producer whose next batch would begin a transaction here
// and whose coordinator is being asked whether it may (KIP-890). It stays until the batch comes in, a
// marker does or the producer expires.
type verification struct {
	epoch  int16
	lowest int32 // sequence: a later batch must not overtake one that is yet to be let in
	since  int64 // ms
}

// Guard is a client's batch of a transaction on its way in. It is made before the coordinator is
// asked, and void once the marker of its transaction is appended: the answer may be of that.
type Guard struct {
	p          *Partition
	batch      record.Batch
	ownEpoch   bool
	asked      *verification // nil where nobody needs to be
	generation uint32
}

// Guard looks at a transactional batch before it is appended. ownEpoch says that every transaction of
// this producer has an epoch of its own, and so begins with sequence 0: transaction version 2.
func (p *Partition) Guard(b record.Batch, ownEpoch bool) *Guard {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := &Guard{p: p, batch: b, ownEpoch: ownEpoch, generation: p.generation.Load()}
	if !p.open(b.ProducerID(), b.ProducerEpoch()) {
		g.asked = p.verify(b)
	}
	return g
}

// verify is for who holds mu.
func (p *Partition) verify(b record.Batch) *verification {
	v := p.verifications[b.ProducerID()]
	switch {
	case v == nil:
		v = &verification{epoch: b.ProducerEpoch(), lowest: b.BaseSequence(), since: p.node.now().UnixMilli()}
		if p.verifications == nil {
			p.verifications = map[int64]*verification{}
		}
		p.verifications[b.ProducerID()] = v
	case b.ProducerEpoch() > v.epoch:
		v.epoch, v.lowest = b.ProducerEpoch(), b.BaseSequence()
	case b.ProducerEpoch() == v.epoch:
		v.lowest = min(v.lowest, b.BaseSequence())
	}
	return v
}

// Ask reports whether the coordinator has to be asked before the batch is appended.
func (g *Guard) Ask() bool { return g.asked != nil }

// Append is Partition.Append for the guarded batch. log.ErrTransactionState is returned where the
// transaction has ended meanwhile.
func (g *Guard) Append() *Append { return g.append(nil) }

// AppendWritten is Partition.AppendWritten for the guarded batch; see Append.
func (g *Guard) AppendWritten() *Append { return g.append(&Outcome{}) }

// AppendBatch is Append for a batch that takes the place of the one that Guard has looked at: of the
// same producer and sequence, but made later.
func (g *Guard) AppendBatch(b record.Batch) *Append {
	g.batch = b
	return g.append(nil)
}

func (g *Guard) append(written *Outcome) *Append {
	g.batch.SetBaseOffset(-1)
	return g.p.propose(&Append{data: g.batch, written: written}, g.check)
}

func (g *Guard) check(p *Partition, b record.Batch) *Append {
	twin, dup, err := p.proposals.check(b, p.machine.producers)
	if twin != nil || dup != nil {
		return p.repeated(b, twin, dup)
	}
	now := p.proposals.standing(b.ProducerID(), p.machine.producers)
	if !now.Open || now.Epoch != b.ProducerEpoch() {
		if e := g.verified(b, now); e != nil {
			return refused(e)
		}
	}
	if err != nil {
		return refused(err)
	}
	delete(p.verifications, b.ProducerID())
	return nil
}

// verified reports why the batch may not begin a transaction.
func (g *Guard) verified(b record.Batch, now log.Standing) error {
	p := g.p
	switch {
	case g.generation != p.generation.Load():
		return ErrNotLeader // another leader may have ended the transaction
	case g.asked == nil, p.verifications[b.ProducerID()] != g.asked:
		return log.ErrTransactionState
	case b.ProducerEpoch() == g.asked.epoch && b.BaseSequence() > g.asked.lowest,
		g.ownEpoch && now.LastSeq < 0 && b.BaseSequence() > 0:
		return log.ErrOutOfOrderSequence
	}
	return nil
}

// voidVerification makes guards void that are of the transaction which a marker ends; the caller holds
// mu. From version 2 on a marker has the epoch of the producer's next transaction, which may be on its
// way in already.
func (p *Partition) voidVerification(m record.Marker, txnVersion int16) {
	v := p.verifications[m.ProducerID]
	if v != nil && (v.epoch < m.ProducerEpoch || txnVersion < 2) {
		delete(p.verifications, m.ProducerID)
	}
}

// expireVerifications forgets those begun before a time, ms; the caller holds mu.
func (p *Partition) expireVerifications(before int64) {
	for id, v := range p.verifications {
		if v.since < before {
			delete(p.verifications, id)
		}
	}
}
