package broker

import (
	"errors"
	"sync/atomic"
	"time"

	"quorumlog/broker/config"
	"quorumlog/internal/throttle"
	"quorumlog/log"
	"quorumlog/replication"
)

// cleaner compacts the replicas here, one at a time. All but the counters belongs to one goroutine.
type cleaner struct {
	b      *Broker
	failed map[replicaKey]time.Time // when a compaction last failed
	pacer  throttle.Bytes

	dirtiest                               atomic.Uint64 // the largest dirty ratio at the last look, in millionths
	waiting                                atomic.Int64  // logs to compact at the last look
	lastRun                                atomic.Int64  // when one last ended, Unix ms; 0 before the first
	runs, failures, read, written, dropped atomic.Int64
}

// cleanPause is how long a log is left alone after its compaction failed.
const cleanPause = time.Minute

// cleanLoop compacts what has to be, the dirtiest log first, and rests where there is nothing.
func (b *Broker) cleanLoop() {
	if !b.settings.Bool("log.cleaner.enable") {
		return
	}
	inBackground()
	c := &b.cleaner
	c.b, c.failed = b, map[replicaKey]time.Time{}
	c.pacer.Slack = cleanSlack
	for b.ctx.Err() == nil {
		if x := c.choose(); x != nil && !b.disk.full() {
			c.clean(x)
			continue
		}
		select {
		case <-b.ctx.Done():
		case <-time.After(time.Duration(b.settings.Int("log.cleaner.backoff.ms")) * time.Millisecond):
		}
	}
}

// choose returns the log that needs compaction most, nil for none.
func (c *cleaner) choose() (most *replica) {
	now := c.b.now()
	best, dirtiest, waiting := 0.0, 0.0, int64(0)
	for _, x := range c.b.replicas.list() {
		p, s := x.partition(), x.settings()
		if p == nil || !s.Cleanup.Compacts() {
			continue
		}
		d := p.Dirt(s.MinCompactionLag)
		dirtiest = max(dirtiest, d.Ratio())
		if !worthCleaning(d, s, now.UnixMilli()) {
			continue
		}
		waiting++
		if t, failed := c.failed[x.key]; failed && time.Since(t) < cleanPause {
			continue
		}
		if most == nil || d.Ratio() > best {
			most, best = x, d.Ratio()
		}
	}
	c.dirtiest.Store(uint64(dirtiest * 1e6))
	c.waiting.Store(waiting)
	return most
}

// worthCleaning reports whether a log is dirty enough, or has waited for long enough.
func worthCleaning(d log.Dirt, s config.TopicConfig, now int64) bool {
	return d.Dirty > 0 && (d.Ratio() > s.MinCleanableRatio || now-d.Since > s.MaxCompactionLag)
}

// clean compacts one log, in as many passes as its keys need.
func (c *cleaner) clean(x *replica) {
	p, s := x.partition(), x.settings()
	if p == nil {
		return
	}
	begin := time.Now()
	var total log.Compacted
	var err error
	for more := true; more && err == nil; {
		var done log.Compacted
		done, err = p.Compact(log.Compaction{
			MinLag: s.MinCompactionLag, DeleteRetention: s.DeleteRetentionMs,
			MapBytes: int(c.b.settings.Int("log.cleaner.dedupe.buffer.size")), Pace: c.pace,
		})
		total.Read, total.Written, total.Freed = total.Read+done.Read, total.Written+done.Written, total.Freed+done.Freed
		c.read.Add(done.Read)
		c.written.Add(done.Written)
		c.dropped.Add(max(done.Freed, 0))
		more = done.More
	}
	c.runs.Add(1)
	c.lastRun.Store(c.b.now().UnixMilli())
	log := c.b.log.With("topic", x.topic, "partition", x.key.partition)
	switch {
	case err == nil:
		delete(c.failed, x.key)
		log.Info("log compacted", "read_bytes", total.Read, "written_bytes", total.Written, "freed_bytes", total.Freed, "took", time.Since(begin))
		return
	case errors.Is(err, replication.ErrNotNow), errors.Is(err, replication.ErrUnavailable), c.b.ctx.Err() != nil:
		log.Debug("log not compacted now", "err", err)
	default:
		c.failures.Add(1)
		log.Warn("log not compacted; it stays as it was, and is tried again", "err", err)
	}
	c.failed[x.key] = time.Now()
}

var errDiskFull = errors.New("the disk is nearly full")

// pace lets compaction read or write so many bytes, once it is time to.
func (c *cleaner) pace(bytes int) error {
	if c.b.disk.full() {
		return errDiskFull
	}
	return c.pacer.Wait(c.b.ctx, int64(bytes), min(c.b.settings.Float("log.cleaner.io.max.bytes.per.second"), cleanRate))
}

// cleanRate is how much a second compaction reads and writes at most, bytes: several times what a
// node takes from producers, and little enough to leave them the disk and most of a processor.
const cleanRate = 512 << 20

// cleanSlack is for how long compaction works before it rests as long: others wait for a processor
// or the disk meanwhile.
const cleanSlack = 2 * time.Millisecond
