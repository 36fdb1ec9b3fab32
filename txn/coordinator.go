package txn

import "quorumlog/internal/shards"

// Coordinator coordinates the transactions of the partitions of __transaction_state that this node
// leads. All its methods may be called concurrently.
//
// Handlers take a request and a response of the same version and set the response's fields; they
// return when it is complete, or their context has ended.
type Coordinator struct {
	opts Options

	shards shards.Set[*shard]
}

// New returns a coordinator that leads nothing yet.
func New(opts Options) *Coordinator {
	return &Coordinator{opts: opts.withDefaults()}
}

// Lead begins to serve a partition that this node leads since epoch, or leads again since a later
// one. The log is replayed in a goroutine of its own; meanwhile its ids are answered
// COORDINATOR_LOAD_IN_PROGRESS.
func (c *Coordinator) Lead(partition, epoch int32, l shards.Log) {
	c.shards.Lead(partition, newShard(c, partition, epoch, l))
}

// reload serves a partition anew from its log, if the shard is still the one that serves it.
func (c *Coordinator) reload(s *shard) {
	c.shards.Replace(s.partition, s, newShard(c, s.partition, s.epoch, s.log))
}

// Resign stops serving a partition, and answers everything that waits in it NOT_COORDINATOR.
func (c *Coordinator) Resign(partition int32) { c.shards.Resign(partition) }

// Close resigns every partition.
func (c *Coordinator) Close() { c.shards.Close() }

// shard returns the shard of an id, nil where this node does not lead it.
func (c *Coordinator) shard(id string) *shard {
	return c.shards.Get(c.opts.PartitionFor(id))
}

// enter returns the active shard of an id, locked, or why there is none.
func (c *Coordinator) enter(id string) (*shard, int16) {
	s := c.shard(id)
	if s == nil {
		return nil, notCoordinator
	}
	return s, s.enter()
}
