package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"quorumlog/cluster"
)

// leader is who leads a partition, since which epoch, and which replicas it finds in sync.
type leader struct {
	node, epoch int32 // node -1 while unknown
	isr         []int32
}

// leaderTable is what this node knows of the leaders of all partitions: of those that it has a
// replica of from their Raft groups, of the others from what their leaders tell every node. The
// highest epoch is right, whoever says it.
type leaderTable struct {
	mu  sync.RWMutex
	all map[replicaKey]leader
	led map[replicaKey]leader // by this node: what it tells the others
	out map[replicaKey]leader // who said last that it leads no more, up to which epoch

	turned turning // some partition may have another leader
}

func newLeaderTable() *leaderTable {
	return &leaderTable{all: map[replicaKey]leader{}, led: map[replicaKey]leader{}, out: map[replicaKey]leader{}}
}

func (t *leaderTable) get(k replicaKey) leader {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if l, ok := t.all[k]; ok {
		return l
	}
	return leader{node: -1, epoch: -1}
}

// learn takes note of a leader. A node that only follows knows nothing of the in-sync replicas; what
// it heard may be older than the leader's own word that it leads no more.
func (t *leaderTable) learn(k replicaKey, l leader) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old, known := t.all[k]
	switch {
	case l.isr == nil && t.isOut(k, l):
		return
	case known && l.epoch < old.epoch:
		return
	case known && l.epoch == old.epoch && l.isr == nil:
		return
	}
	t.all[k] = l
	delete(t.out, k)
	t.turned.turn()
}

// isOut reports whether a leader has said itself that it leads no more; the caller holds mu.
func (t *leaderTable) isOut(k replicaKey, l leader) bool {
	o, ok := t.out[k]
	return ok && o.node == l.node && l.epoch <= o.epoch
}

// later returns the leader that a group with a replica here has heard of, where its epoch is later
// than what the table knows, else that.
func (t *leaderTable) later(k replicaKey, heard leader) leader {
	known := t.get(k)
	t.mu.RLock()
	defer t.mu.RUnlock()
	if heard.epoch > known.epoch && !t.isOut(k, heard) {
		return heard
	}
	return known
}

// await returns when all these partitions have a leader, or ctx ends.
func (t *leaderTable) await(ctx context.Context, keys []replicaKey) {
	for {
		turned := t.turned.next()
		if !slices.ContainsFunc(keys, func(k replicaKey) bool { return t.get(k).node < 0 }) {
			return
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return
		}
	}
}

// lead notes what this node leads, and returns what to tell the others: nil where that is no news.
func (t *leaderTable) lead(k replicaKey, l leader) []byte {
	t.learn(k, l)
	t.mu.Lock()
	defer t.mu.Unlock()
	if old, ok := t.led[k]; ok && old.epoch == l.epoch && slices.Equal(old.isr, l.isr) {
		return nil
	}
	t.led[k] = l
	return appendLeader(nil, k, l)
}

// resign notes that this node leads a partition no more, and returns what to tell the others: nil
// where it did not lead. They learn of the next leader from that one, but may have to elect it.
func (t *leaderTable) resign(k replicaKey) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.led[k]
	if !ok {
		return nil
	}
	delete(t.led, k)
	t.lost(k, l.epoch)
	return appendLeader(nil, k, leader{epoch: l.epoch})
}

// resigned takes note that another node leads a partition no more since an epoch, and reports
// whether that is news.
func (t *leaderTable) resigned(k replicaKey, node, epoch int32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.all[k]
	o, before := t.out[k]
	if ok && l.epoch > epoch || before && o.node == node && o.epoch >= epoch {
		return false
	}
	t.out[k] = leader{node: node, epoch: epoch}
	if ok && l.node == node {
		t.lost(k, l.epoch)
	}
	return true
}

// lost keeps the epoch of a partition whose leader is not known any more, where no later one is;
// the caller holds mu.
func (t *leaderTable) lost(k replicaKey, epoch int32) {
	if t.all[k].epoch == epoch {
		t.all[k] = leader{node: -1, epoch: epoch}
	}
}

// ledBy are the partitions that a node is taken to lead, with their epochs.
func (t *leaderTable) ledBy(node int32) map[replicaKey]int32 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	led := map[replicaKey]int32{}
	for k, l := range t.all {
		if l.node == node {
			led[k] = l.epoch
		}
	}
	return led
}

// forget drops the partitions of deleted topics.
func (t *leaderTable) forget(now *cluster.Image) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k := range t.all {
		if now.TopicByID(k.topic) == nil {
			delete(t.all, k)
			delete(t.led, k)
			delete(t.out, k)
		}
	}
}

// encode returns all that this node leads.
func (t *leaderTable) encode() []byte {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var b []byte
	for k, l := range t.led {
		b = appendLeader(b, k, l)
	}
	return b
}

// keySize is the bytes of a replicaKey: topic id, partition uint32.
const keySize = 16 + 4

func appendKey(b []byte, k replicaKey) []byte {
	return binary.BigEndian.AppendUint32(append(b, k.topic[:]...), uint32(k.partition))
}

// parseKey is appendKey's inverse; b is long enough.
func parseKey(b []byte) replicaKey {
	return replicaKey{cluster.TopicID(b[:16]), int32(binary.BigEndian.Uint32(b[16:]))}
}

// appendLeader appends an entry of the table that nodes send each other: topic id, partition
// uint32, leader epoch uint32, number of in-sync replicas uint8, their ids uint32 each. A leader is
// in sync itself: where there is no replica, the node leads no more since that epoch.
func appendLeader(b []byte, k replicaKey, l leader) []byte {
	b = binary.BigEndian.AppendUint32(appendKey(b, k), uint32(l.epoch))
	isr := l.isr[:min(len(l.isr), 255)]
	b = append(b, byte(len(isr)))
	for _, id := range isr {
		b = binary.BigEndian.AppendUint32(b, uint32(id))
	}
	return b
}

var errLeaders = errors.New("malformed table of leaders")

// decodeLeaders calls f for each entry of another node's table.
func decodeLeaders(b []byte, node int32, f func(replicaKey, leader)) error {
	const fixed = keySize + 4 + 1
	for len(b) > 0 {
		if len(b) < fixed || len(b) < fixed+4*int(b[fixed-1]) {
			return errLeaders
		}
		k := parseKey(b)
		l := leader{node: node, epoch: int32(binary.BigEndian.Uint32(b[keySize:])), isr: make([]int32, b[fixed-1])}
		b = b[fixed:]
		for i := range l.isr {
			l.isr[i] = int32(binary.BigEndian.Uint32(b[4*i:]))
		}
		b = b[4*len(l.isr):]
		f(k, l)
	}
	return nil
}
