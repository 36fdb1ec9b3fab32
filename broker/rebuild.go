package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"quorumlog/log"
	"quorumlog/replication"
)

// serviceEvict asks a leader to take the caller's damaged replica out of a group.
const serviceEvict byte = 3

// rebuildPause is between two attempts to find a leader that takes a damaged replica out.
const rebuildPause = time.Second

// rebuildAgain is how long a rebuilt replica has to stay whole. One that is damaged again sooner
// lies on a disk that cannot be trusted: copying to it over and over would help nobody.
const rebuildAgain = time.Hour

var errDamagedAgain = errors.New("the replica was damaged again soon after it had been rebuilt; replace the disk, and start this node again")

// damaged reports whether a replica cannot be opened because it lost what it had acknowledged. Its
// files are out of the way then, and the other replicas have what it takes to rebuild it.
func (r *replicas) damaged(x *replica, err error) bool {
	if errors.Is(err, log.ErrCorrupt) {
		return r.setAside(x)
	}
	return errors.Is(err, replication.ErrEmptied)
}

// setAside moves a damaged replica's files out of the way, and reports whether it is to be
// rebuilt from the others. The caller holds opening.
func (r *replicas) setAside(x *replica) bool {
	var to string
	err := errDamagedAgain
	if x.rebuilt.IsZero() || time.Since(x.rebuilt) > rebuildAgain {
		to, err = r.node.SetAside(x.group(), x.dir, x.placement().Replicas)
	}
	if err != nil {
		r.log.Error("a damaged replica stays as it is", "topic", x.topic, "partition", x.key.partition, "err", err)
		return false
	}
	x.rebuilt = time.Now()
	r.log.Warn("a damaged replica was set aside and is rebuilt from the others", "topic", x.topic, "partition", x.key.partition, "kept in", to)
	return true
}

// failed takes a replica that was found damaged while it ran out of service, and has it rebuilt.
// It has stopped by itself; one that cannot be rebuilt stays so until this node is started again.
func (r *replicas) failed(x *replica, p *replication.Partition, cause error) {
	x.opening.Lock()
	defer x.opening.Unlock()
	if x.removed || x.partition() != p {
		return
	}
	err := fmt.Errorf("%s-%d: %w: %w", x.topic, x.key.partition, replication.ErrStorage, cause)
	x.mu.Lock()
	x.p, x.err = nil, err
	x.mu.Unlock()
	if e := p.Close(); e != nil {
		r.log.Warn("a damaged replica was not closed in good order", "topic", x.topic, "partition", x.key.partition, "err", e)
	}
	// It may have led until it was closed: the others are not to wait for it.
	r.onRole(x, p, replication.State{Leader: -1, Epoch: p.State().Epoch})
	r.givenUp(x, int32(p.Term()))
	if !r.setAside(x) {
		x.given = err
		return
	}
	x.lost = true
	r.tasks.run(func() { r.lost(x) })
}

// rebuild has the leader take a replica that lost its log out of the group, and opens it anew: it
// comes back as a member without a vote, and gets one when it has caught up.
func (b *Broker) rebuild(x *replica) {
	for {
		err := b.askEviction(x)
		if err == nil {
			if err = b.node.Evicted(x.group()); err == nil {
				_, err = b.replicas.open(x)
			}
		}
		if err == nil || errors.Is(err, kerr.UnknownTopicOrPartition) {
			return
		}
		b.log.Debug("a damaged replica waits for its leader", "topic", x.topic, "partition", x.key.partition, "err", err)
		select {
		case <-time.After(rebuildPause):
		case <-b.ctx.Done():
			return
		}
	}
}

func (b *Broker) askEviction(x *replica) error {
	ctx, cancel := context.WithTimeout(b.ctx, forwardTimeout)
	defer cancel()
	to := b.leaders.get(x.key).node
	if to < 0 || to == b.id {
		return kerr.LeaderNotAvailable
	}
	_, err := b.peers.Ask(ctx, to, serviceEvict, appendKey(nil, x.key))
	return err
}

// onEvict answers another node's request to take its replica out of a group that is led here:
// [topic id][partition uint32]. Reconcile brings it back.
func (b *Broker) onEvict(ctx context.Context, from int32, payload []byte) ([]byte, error) {
	if len(payload) != keySize {
		return nil, errors.New("a request to evict a replica has the wrong length")
	}
	k := parseKey(payload)
	x := b.replicas.get(k.topic, k.partition)
	if x == nil {
		return nil, kerr.NotLeaderForPartition
	}
	p := x.partition()
	if p == nil {
		return nil, kerr.NotLeaderForPartition
	}
	if err := p.Evict(ctx, from); err != nil {
		return nil, err
	}
	b.align(x)
	return nil, nil
}
