package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quorumlog/replication/peers"
)

// refusalPatience is how long a starting node is refused by others before it gives up: one that it
// replaces may not be known to be gone yet.
const refusalPatience = 5 * time.Second

// refusalInterval is how often that is looked at.
const refusalInterval = 100 * time.Millisecond

// giveUpWhenRefused ends the start of a node that others refuse, or that it refuses itself: waiting
// does not help it, a person has to.
func (b *Broker) giveUpWhenRefused(ctx context.Context, giveUp context.CancelCauseFunc) {
	tick := time.NewTicker(refusalInterval)
	defer tick.Stop()
	var p patience
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := p.lost(b.peers.Refused(), time.Now()); err != nil {
			giveUp(err)
			return
		}
	}
}

// patience ends when a node is refused all the time.
type patience struct{ since time.Time }

// lost returns the refusal, with its remedy, once it has lasted; err may be nil or anything else.
func (p *patience) lost(err error, now time.Time) error {
	remedy := remedyFor(err)
	switch {
	case remedy == "":
		p.since = time.Time{}
	case p.since.IsZero():
		p.since = now
	case now.Sub(p.since) >= refusalPatience:
		return fmt.Errorf("%w; %s", err, remedy)
	}
	return nil
}

// remedyFor is what to do about a refusal, "" for what is none.
func remedyFor(err error) string {
	switch {
	case errors.Is(err, peers.ErrSameID):
		return "give one of them another --node-id"
	case errors.Is(err, peers.ErrSameDirectory):
		return "stop one of them; a copy is no second node: that takes an empty --data-dir and another --node-id"
	case errors.Is(err, peers.ErrOtherCluster):
		return "name nodes of its own cluster with --voters or --join, or give it an empty --data-dir"
	case errors.Is(err, peers.ErrOtherNode):
		return "correct --voters"
	case errors.Is(err, peers.ErrVersion):
		return "run versions that are closer to each other"
	case errors.Is(err, peers.ErrNotAdmitted):
		return "see the log of that node"
	}
	return ""
}
