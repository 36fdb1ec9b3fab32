package broker

import (
	"context"
	"slices"
	"sync"
	"time"

	"quorumlog/replication"
)

// handOverTimeout bounds how long a broker that stops, or is not preferred, waits for others to
// take its leaderships.
const handOverTimeout = 3 * time.Second

// handOverParallel is how many leaderships move at a time.
const handOverParallel = 16

// handOver gives all leaderships to replicas on other nodes, so that nobody has to notice that
// this one is gone.
func (b *Broker) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, handOverTimeout)
	defer cancel()
	b.elector.retire()
	b.transferAll(ctx, b.successor)
	if !b.meta.IsLeader() || len(b.meta.Quorum().Voters) == 1 {
		return
	}
	if err := b.meta.Transfer(ctx, -1); err != nil {
		b.log.Warn("the metadata were not handed over; the others elect a controller when this node is gone", "err", err)
	}
}

// successor is who should lead in this node's place, -1 for nobody: the first in the list that is
// in sync and there, as whoever misses a leader expects; else one that is there.
func (b *Broker) successor(x *replica) int32 {
	heir := int32(-1)
	inSync := b.leaders.get(x.key).isr
	for _, id := range x.placement().Replicas {
		if id == b.id || !b.nodes.alive(id) {
			continue
		}
		if slices.Contains(inSync, id) {
			return id
		}
		if heir < 0 {
			heir = id
		}
	}
	return heir
}

// transferAll moves the leaderships of this node to where next says, -1 for staying.
func (b *Broker) transferAll(ctx context.Context, next func(*replica) int32) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, handOverParallel)
	for _, x := range b.replicas.list() {
		p := x.partition()
		if p == nil || !p.State().Leading {
			continue
		}
		to := next(x)
		if to < 0 || ctx.Err() != nil {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			b.transfer(x, p, to)
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		b.log.Warn("some leaderships were not handed over in time; the others elect leaders when this node is gone")
	}
}

// giveWayInterval is how often a broker whose disk is full gives away what it leads: others may give
// it back, as the preferred replica, or because their disks are full too.
const giveWayInterval = time.Minute

// giveWayTimeout bounds how long that takes.
const giveWayTimeout = 10 * time.Second

// giveWay gives all leaderships to replicas on other nodes, which may have room for what this one
// must refuse. A partition without such a replica stays, and its producers are refused.
func (b *Broker) giveWay() {
	ctx, cancel := context.WithTimeout(b.ctx, giveWayTimeout)
	defer cancel()
	b.log.Info("leaderships are given away: there is no room for what producers send", "dir", b.disk.dir)
	b.transferAll(ctx, b.successor)
}

func (b *Broker) transfer(x *replica, p *replication.Partition, to int32) {
	if err := p.TransferLeadership(to); err != nil {
		b.log.Debug("leadership stays", "topic", x.topic, "partition", x.key.partition, "to", to, "err", err)
	}
}

// preferLeaders gives leaderships back to the preferred replicas, the first of each list
// (auto.leader.rebalance.enable).
func (b *Broker) preferLeaders() {
	if b.settings.Bool("auto.leader.rebalance.enable") {
		b.transferAll(b.ctx, b.preferred)
	}
}

func (b *Broker) imbalanceInterval() time.Duration {
	return time.Duration(b.settings.Int("leader.imbalance.check.interval.seconds")) * time.Second
}

// preferred is the preferred replica where that is another node which is there and in sync, else
// -1.
func (b *Broker) preferred(x *replica) int32 {
	to := x.placement().Replicas[0]
	if to == b.id || !b.nodes.alive(to) {
		return -1
	}
	for _, id := range b.leaders.get(x.key).isr {
		if id == to {
			return to
		}
	}
	return -1
}
