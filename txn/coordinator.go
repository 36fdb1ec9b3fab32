package txn

import "sync"

// Coordinator coordinates the transactions of the partitions of __transaction_state that this node
// leads. All its methods may be called concurrently.
//
// Handlers take a request and a response of the same version and set the response's fields; they
// return when it is complete, or their context has ended.
type Coordinator struct {
	opts Options

	mu     sync.RWMutex
	shards map[int32]*shard
}

// New returns a coordinator that leads nothing yet.
func New(opts Options) *Coordinator {
	return &Coordinator{opts: opts.withDefaults(), shards: map[int32]*shard{}}
}

// Lead begins to serve a partition that this node leads since epoch, or leads again since a later
// one. The log is replayed in a goroutine of its own; meanwhile its ids are answered
// COORDINATOR_LOAD_IN_PROGRESS.
func (c *Coordinator) Lead(partition, epoch int32, l Log) {
	s := newShard(c, partition, epoch, l)
	c.mu.Lock()
	old := c.shards[partition]
	c.shards[partition] = s
	c.mu.Unlock()
	if old != nil {
		old.resign()
	}
	go s.load()
}

// reload serves a partition anew from its log, if the shard is still the one that serves it.
func (c *Coordinator) reload(s *shard) {
	fresh := newShard(c, s.partition, s.epoch, s.log)
	c.mu.Lock()
	current := c.shards[s.partition] == s
	if current {
		c.shards[s.partition] = fresh
	}
	c.mu.Unlock()
	if current {
		s.resign()
		fresh.load()
	}
}

// Resign stops serving a partition, and answers everything that waits in it NOT_COORDINATOR.
func (c *Coordinator) Resign(partition int32) {
	c.mu.Lock()
	s := c.shards[partition]
	delete(c.shards, partition)
	c.mu.Unlock()
	if s != nil {
		s.resign()
	}
}

// Close resigns every partition.
func (c *Coordinator) Close() {
	for _, s := range c.all() {
		c.Resign(s.partition)
	}
}

// shard returns the shard of an id, nil where this node does not lead it.
func (c *Coordinator) shard(id string) *shard {
	p := c.opts.PartitionFor(id)
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.shards[p]
}

// enter returns the active shard of an id, locked, or why there is none.
func (c *Coordinator) enter(id string) (*shard, int16) {
	s := c.shard(id)
	if s == nil {
		return nil, notCoordinator
	}
	return s, s.enter()
}

// all is a snapshot of the shards.
func (c *Coordinator) all() []*shard {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]*shard, 0, len(c.shards))
	for _, s := range c.shards {
		out = append(out, s)
	}
	return out
}
