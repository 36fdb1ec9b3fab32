package replication

import (
	"context"
	"fmt"

	"quorumlog/log"
	"quorumlog/record"
)

// StartOffset is the first offset that may be read.
func (p *Partition) StartOffset() int64 { return p.log().StartOffset() }

// HighWatermark is the offset after the last committed batch: consumers read below it.
func (p *Partition) HighWatermark() int64 { return p.highWatermark.Load() }

// LastStableOffset is what a consumer that reads only committed transactions reads below: where the
// oldest transaction begins whose end is not committed, at most the high watermark. Ask for it
// before the high watermark, and it is not above that.
func (p *Partition) LastStableOffset() int64 {
	stable := max(p.stableOffset.Load(), p.StartOffset())
	return min(stable, p.HighWatermark())
}

// EndOffset is the offset after this replica's last batch, committed or not.
func (p *Partition) EndOffset() int64 { return p.log().NextOffset() }

// Read returns whole batches from the one that holds offset, below limit, and of at most
// maxBytes; see log.Log.Read. A limit beyond the high watermark means the high watermark.
// log.ErrOutOfRange is returned for an offset that is not between start and high watermark.
func (p *Partition) Read(offset, limit int64, maxBytes int, oneAtLeast bool) (log.View, error) {
	hw := p.HighWatermark()
	if offset > hw {
		return log.View{}, fmt.Errorf("offset %d is above the high watermark %d: %w", offset, hw, log.ErrOutOfRange)
	}
	v, err := p.log().Read(offset, min(limit, hw), maxBytes, oneAtLeast)
	return v, p.readError(err)
}

// Batches calls yield for every committed batch in [from, limit), in order, until it returns
// false. The batch is valid only during the call.
func (p *Partition) Batches(from, limit int64, yield func(record.Batch) bool) error {
	return p.readError(p.log().Batches(from, min(limit, p.HighWatermark()), yield))
}

// OffsetForTimestamp returns the first committed record whose timestamp (ms) is at least ts.
func (p *Partition) OffsetForTimestamp(ts int64) (log.TimestampOffset, error) {
	t, err := p.log().OffsetForTimestamp(ts, p.HighWatermark())
	return t, p.readError(err)
}

// MaxTimestamp returns the committed record with the largest timestamp (KIP-734).
func (p *Partition) MaxTimestamp() (log.TimestampOffset, error) {
	t, err := p.log().MaxTimestamp(p.HighWatermark())
	return t, p.readError(err)
}

// EpochEnd returns the largest leader epoch not above the one asked for and the offset at which
// it ended (KIP-101, KIP-279), at most the high watermark; -1, -1 when the log does not know.
func (p *Partition) EpochEnd(epoch int32) (int32, int64) {
	e, end := p.log().EpochEnd(epoch)
	return e, min(end, p.HighWatermark())
}

// EpochAt returns the leader epoch that wrote the offset, or -1.
func (p *Partition) EpochAt(offset int64) int32 { return p.log().EpochAt(offset) }

// Size is the bytes of all segments.
func (p *Partition) Size() int64 { return p.log().Size() }

// Segments is how many segments there are.
func (p *Partition) Segments() int { return p.log().Segments() }

// Producers copies the applied states of the idempotent producers, ordered by id.
func (p *Partition) Producers() []log.ProducerState {
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	return p.machine.producers.Snapshot()
}

// ExpireProducers forgets producers that last wrote before the timestamp (ms), and have no
// transaction open.
func (p *Partition) ExpireProducers(before int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireVerifications(before)
	p.machine.mu.Lock()
	defer p.machine.mu.Unlock()
	p.machine.producers.Expire(before)
}

// Retain deletes segments that have expired, this replica's own; see log.Log.Retain.
func (p *Partition) Retain(r log.Retention) (freed int64, err error) {
	before := p.StartOffset()
	freed, err = p.log().Retain(r, p.HighWatermark())
	if p.StartOffset() != before {
		p.wakeWatchers()
	}
	return freed, p.readError(err)
}

// RetainNow is Retain for when room is needed at once: a segment that only waits for a checkpoint,
// which comes with time, gets it, and so does one that is closed because all of it has expired.
func (p *Partition) RetainNow(r log.Retention) (freed int64, err error) {
	freed, err = p.Retain(r)
	if err != nil {
		return freed, err
	}
	if err := p.Checkpoint(); err != nil {
		return freed, err
	}
	more, err := p.Retain(r)
	return freed + more, err
}

// SetLimits changes segment.bytes and segment.ms for segments that are begun from now on.
func (p *Partition) SetLimits(segmentBytes, segmentMs int64) {
	p.segmentBytes.Store(segmentBytes)
	p.segmentMs.Store(segmentMs)
	p.log().SetLimits(segmentBytes, segmentMs)
}

// DeleteRecords moves the log start offset of all replicas forward to before, or to the high
// watermark for -1, and returns where it stands. log.ErrOutOfRange is returned for an offset
// above the high watermark. Files go when all of their records have.
func (p *Partition) DeleteRecords(ctx context.Context, before int64) (low int64, err error) {
	hw := p.HighWatermark()
	switch {
	case !p.State().Leading:
		return -1, ErrNotLeader
	case before == -1:
		before = hw
	case before < 0 || before > hw:
		return -1, fmt.Errorf("offset %d is not in [0, %d]: %w", before, hw, log.ErrOutOfRange)
	}
	if before <= p.StartOffset() {
		return p.StartOffset(), nil
	}
	a := p.propose(&Append{data: command{commandStartAt, before}.encode()}, nil)
	select {
	case <-a.Done():
	case <-ctx.Done():
		return -1, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	r, err := a.Result()
	if err != nil {
		return -1, err
	}
	return r.StartOffset, nil
}
