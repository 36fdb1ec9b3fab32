package broker

import (
	"context"
	"errors"
	"slices"
	"time"

	"quorumlog/cluster"
)

// controlInterval is how often the controller compares who is there with who is registered.
const controlInterval = 250 * time.Millisecond

// controlPatience is how long a new controller waits for brokers that it has not heard of yet.
const controlPatience = 5 * time.Second

// controlTimeout bounds one round.
const controlTimeout = 10 * time.Second

// controller is this node's part as the leader of the metadata; it belongs to one goroutine.
type controller struct {
	*Broker
	since time.Time // when this node became the controller; zero while it is not
}

// round does what only the controller does by itself: it fences brokers that are gone and takes
// them back, and keeps the members of the metadata group in line with the brokers.
func (c *controller) round() {
	if !c.meta.IsLeader() {
		c.since = time.Time{}
		return
	}
	if c.since.IsZero() {
		c.since = time.Now()
	}
	ctx, cancel := context.WithTimeout(c.ctx, controlTimeout)
	defer cancel()
	err := errors.Join(c.fenceBrokers(ctx, time.Since(c.since) > controlPatience), c.alignMetadataGroup(ctx))
	if err != nil && c.ctx.Err() == nil {
		c.log.Warn("the controller's round failed; the next one tries again", "err", err)
	}
}

// fenceBrokers makes the registrations say who is there. Brokers that were never heard of count
// as gone only after some patience: this node may be the one that has just come.
func (b *Broker) fenceBrokers(ctx context.Context, patient bool) error {
	heard := b.nodes.all()
	var errs []error
	for _, n := range b.meta.Image().Brokers() {
		up, known := heard[n.ID]
		switch {
		case n.ID == b.id:
			up, known = true, true
		case up && b.directoryOf(n.ID) != n.Identity:
			up = false // another data directory runs under the id, and registers when this one is fenced
		}
		if up != n.Fenced || !known && !patient {
			continue
		}
		_, err := b.meta.Change(ctx, func(im *cluster.Image) ([]cluster.Record, error) {
			if up {
				return cluster.UnfenceBroker(im, n.ID)
			}
			return cluster.FenceBroker(im, n.ID)
		})
		if err == nil {
			b.log.Info("broker", "node", n.ID, "fenced", !up)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// alignMetadataGroup has every broker follow the metadata log, and nobody else without a vote.
// Voters stay voters, also with a new data directory.
func (b *Broker) alignMetadataGroup(ctx context.Context) error {
	b.aligning.Lock()
	defer b.aligning.Unlock()
	im := b.meta.Image()
	want := slices.DeleteFunc(b.meta.Members(), func(m cluster.Member) bool { return !m.Voter && im.Broker(m.Node) == nil })
	for _, n := range im.Brokers() {
		i := slices.IndexFunc(want, func(m cluster.Member) bool { return m.Node == n.ID })
		if i < 0 {
			want = append(want, cluster.Member{Node: n.ID})
			i = len(want) - 1
		}
		want[i].Identity = n.Identity
	}
	return b.meta.Reconcile(ctx, want)
}
