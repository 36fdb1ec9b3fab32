package group

import "quorumlog/internal/shards"

// Coordinator coordinates the groups of the offsets partitions that this node leads. All its
// methods may be called concurrently.
//
// Handlers take a request and a response of the same version and set the response's fields.
// They keep no part of a request once it is answered, but a response may alias its request, and
// its byte slices must not be changed. Where a handler returns a wait function, the response is
// complete when that returns, unless its context ended first; a nil function means that it is
// complete already.
type Coordinator struct {
	opts Options

	shards shards.Set[*shard]
}

// New returns a coordinator that leads nothing yet.
func New(opts Options) *Coordinator {
	return &Coordinator{opts: opts.withDefaults()}
}

// Lead begins to serve an offsets partition that this node leads since epoch, or leads again
// since a later one. The log is replayed in a goroutine of its own; meanwhile its groups are
// answered COORDINATOR_LOAD_IN_PROGRESS.
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

// PartitionFor is the offsets partition that holds a group.
func (c *Coordinator) PartitionFor(groupID string) int32 {
	return PartitionFor(groupID, c.opts.Topics.OffsetsPartitions())
}

// enter returns the active shard of a group, locked, or why there is none.
func (c *Coordinator) enter(groupID string) (*shard, int16) {
	p := c.PartitionFor(groupID)
	s := c.shards.Get(p)
	if s == nil {
		return nil, notCoordinator
	}
	return s, s.enter()
}
