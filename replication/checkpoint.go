package replication

import (
	"errors"
	"sync"
	"time"

	"quorumlog/log"
)

// Checkpoint stores the applied state, so that a restart has to read only what came after it.
// It does nothing when there is nothing new.
func (p *Partition) Checkpoint() error { return p.checkpoint(0) }

// checkpoint is Checkpoint where at least so many bytes were applied since the last one.
func (p *Partition) checkpoint(least int64) error {
	p.due.writing.Lock()
	defer p.due.writing.Unlock()
	p.due.mu.Lock()
	if p.due.bytes < least {
		p.due.mu.Unlock()
		return nil
	}
	p.due.bytes = 0
	p.due.disarm()
	p.due.mu.Unlock()

	c := p.machine.checkpoint()
	if c.Index == p.due.index && c.StartOffset == p.due.start {
		return nil
	}
	if err := p.log().WriteCheckpoint(c); err != nil {
		return p.readError(err)
	}
	p.machine.stored(c.Aborted)
	p.due.index, p.due.start = c.Index, c.StartOffset
	return nil
}

// due knows what a partition has appended since its last checkpoint.
type due struct {
	mu     sync.Mutex
	bytes  int64
	queued bool
	closed bool
	timer  *time.Timer // armed by the first append since the last checkpoint

	writing sync.Mutex
	index   uint64 // of the last checkpoint, with start guarded by writing
	start   int64
}

func (d *due) disarm() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// noteAppended counts what was applied, on the FSM goroutine, and asks for a checkpoint in time.
func (p *Partition) noteAppended(bytes int64) {
	d := &p.due
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes += bytes
	switch {
	case d.closed || d.queued:
	case d.bytes >= p.node.Schedule.Bytes:
		d.queued = true
		p.node.checkpoints.add(p)
	case d.timer == nil:
		d.timer = time.AfterFunc(p.node.Schedule.Every, p.timeIsUp)
	}
}

func (p *Partition) timeIsUp() {
	d := &p.due
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed && !d.queued {
		d.queued = true
		p.node.checkpoints.add(p)
	}
}

func (p *Partition) cancelDue() {
	p.due.mu.Lock()
	p.due.closed = true
	p.due.disarm()
	p.due.mu.Unlock()
	p.node.checkpoints.remove(p)
}

// checkpointer writes the checkpoints that are due, a few at a time, on goroutines that exist
// while there are any.
type checkpointer struct {
	mu      sync.Mutex
	queue   []*Partition
	workers int
	closed  bool
	idle    sync.WaitGroup
}

// checkpointWorkers bounds the checkpoints written at the same time: they share syncs.
const checkpointWorkers = 4

func (c *checkpointer) add(p *Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.queue = append(c.queue, p)
	if c.workers < checkpointWorkers {
		c.workers++
		c.idle.Go(c.work)
	}
}

func (c *checkpointer) work() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 && !c.closed {
		p := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		p.runDue()
		c.mu.Lock()
	}
	c.workers--
}

func (p *Partition) runDue() {
	p.due.mu.Lock()
	p.due.queued = false
	closed := p.due.closed
	p.due.mu.Unlock()
	if closed {
		return
	}
	if err := p.Checkpoint(); err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, log.ErrFailed) {
		p.logger.Warn("checkpoint not written; the next start reads more", "group", p.config.Group, "err", err)
	}
}

// remove takes a partition that is closing off the queue.
func (c *checkpointer) remove(p *Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.queue[:0]
	for _, q := range c.queue {
		if q != p {
			kept = append(kept, q)
		}
	}
	clear(c.queue[len(kept):])
	c.queue = kept
}

func (c *checkpointer) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.idle.Wait()
}
