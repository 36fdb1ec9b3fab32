package replication

import (
	"quorumlog/log"
	"quorumlog/record"
)

// EndTransaction appends the marker that ends a producer's transaction, whether there is any open
// here or not; see Append. txnVersion is that of the transaction: from 2 on the marker's epoch must
// be one that the producer has not written with (KIP-890), and a marker that stands in the log
// already is answered like one that was appended. log.ErrStaleEpoch is returned for an epoch that
// is over, log.ErrCoordinatorFenced for a coordinator that has been replaced.
func (p *Partition) EndTransaction(m record.Marker, txnVersion int16) *Append {
	b := record.Batch(record.AppendMarker(nil, m, p.node.now().UnixMilli()))
	return p.propose(&Append{data: b}, func(p *Partition, _ record.Batch) *Append {
		now := p.proposals.standing(m.ProducerID, p.machine.producers)
		if txnVersion >= 2 && now.Epoch == m.ProducerEpoch && !now.Open && now.CoordinatorEpoch <= m.CoordinatorEpoch {
			return p.repeatedMarker(m.ProducerID)
		}
		if err := now.CheckMarker(m, txnVersion); err != nil {
			return refused(err)
		}
		p.voidVerification(m, txnVersion)
		return nil
	})
}

// repeatedMarker is the answer to a marker that needs not be appended again: that of the one in
// flight, where it still is.
func (p *Partition) repeatedMarker(producerID int64) *Append {
	if a := p.proposals.newest(producerID); a != nil {
		return a
	}
	return &Append{Outcome: Outcome{over: true, result: AppendResult{BaseOffset: -1, LogAppendTime: -1, StartOffset: p.StartOffset(), Duplicate: true}}}
}

// OpenTransaction reports whether the producer, at this epoch, has a transaction open here, if only
// by a batch in flight.
func (p *Partition) OpenTransaction(producerID int64, producerEpoch int16) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open(producerID, producerEpoch)
}

// open is OpenTransaction for who holds mu.
func (p *Partition) open(producerID int64, producerEpoch int16) bool {
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	now := p.proposals.standing(producerID, p.machine.producers)
	return now.Open && now.Epoch == producerEpoch
}

// Aborted returns the aborted transactions with records in [from, limit), ordered by their first
// offsets. All whose records lie below the last stable offset are known.
func (p *Partition) Aborted(from, limit int64) ([]log.AbortedTransaction, error) {
	p.machine.mu.Lock()
	var later []log.AbortedTransaction
	for _, a := range p.machine.aborted {
		if a.Last >= from && a.First < limit {
			later = append(later, a)
		}
	}
	p.machine.mu.Unlock()
	// What is stored meanwhile is found in both places, and counts once.
	stored, err := p.log().Aborted(from, limit)
	if err != nil {
		return nil, p.readError(err)
	}
	return log.MergeAborted(stored, later), nil
}

// Transactions is what a partition's transactions look like to who watches over them.
type Transactions struct {
	Open int // transactions
	// Oldest is when the producer of the oldest one last wrote, ms; -1 where there is none.
	Oldest int64
	// Lag is by how many offsets the last stable offset is behind the high watermark.
	Lag int64
}

// Transactions looks at the transactions that are open.
func (p *Partition) Transactions() Transactions {
	stable := p.LastStableOffset()
	lag := p.HighWatermark() - stable
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	n, oldest := p.machine.producers.Open()
	return Transactions{Open: n, Oldest: oldest, Lag: lag}
}
