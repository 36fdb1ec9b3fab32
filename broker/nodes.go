package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"quorumlog/cluster"
	"quorumlog/replication"
	"quorumlog/replication/peers"
)

// Services that nodes call each other for.
const (
	serviceController byte = 1 // a request that the controller decides
	serviceMoveLeader byte = 2 // to hand a leadership over
	serviceBroker     byte = 4 // a request that Kafka's brokers send each other
)

// nodeSet is which nodes are there: one that was connected is, until a majority says otherwise.
type nodeSet struct {
	self int32

	mu sync.RWMutex
	up map[int32]bool
}

func newNodeSet(self int32) *nodeSet { return &nodeSet{self: self, up: map[int32]bool{}} }

func (s *nodeSet) alive(id int32) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return id == s.self || s.up[id]
}

// set reports whether that is news.
func (s *nodeSet) set(id int32, up bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.up[id]
	s.up[id] = up
	return !known || old != up
}

// all are the nodes heard of so far, and whether they are there.
func (s *nodeSet) all() map[int32]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.up)
}

// openPeers listens for the other nodes. A node that is alone listens too: others may join it.
func (b *Broker) openPeers(ctx context.Context, cfg Config) error {
	l, err := net.Listen("tcp", cfg.RaftListen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w; choose another address with --raft-listen", cfg.RaftListen, errors.Unwrap(err))
	}
	b.raftAddress = raftAddress(cfg, l.Addr())
	b.peers = peers.New(peers.Config{
		Node: b.id, Identity: b.dir.Identity(), ClusterID: b.dir.ClusterID, Advertise: b.raftAddress,
		Listen: l, Dial: cfg.Dial, Transport: b.node.Transport, Logger: b.log.With("part", "peers"),
		Resolve: b.resolve, Members: b.knownMembers,
	})
	b.node.Transport.SetRoute(b.peers)
	b.node.Transport.SetSegmentRoute(b.peers)
	b.peers.Handle(serviceController, b.control)
	b.peers.Handle(serviceMoveLeader, b.onMoveLeader)
	b.peers.Handle(serviceEvict, b.onEvict)
	b.peers.Handle(serviceBroker, b.onBrokerRequest)
	b.peers.HandleBulk(bulkSnapshot, b.onSnapshot)
	b.peers.OnState(b.onLeaders)
	b.peers.OnDown(func(node int32) { b.onNode(node, false) })
	b.peers.OnUp(func(node int32) { b.onNode(node, true) })
	b.peers.OnConnected(func(int32) {
		b.noticeNodes(b.image())
		b.controllerTurned.turn() // there is somebody to ask
	})
	b.peers.Publish(nil, b.leaders.encode)
	for _, v := range cfg.Voters {
		b.addresses[v.ID] = v.Addr
	}
	if err := b.findCluster(ctx, cfg.Join); err != nil {
		return err
	}
	b.peers.SetMembers(slices.Collect(maps.Keys(b.addresses)))
	b.peers.Start()
	return nil
}

// findPause is between two attempts to reach a node of the cluster to join.
const findPause = 500 * time.Millisecond

// findCluster learns the nodes of a running cluster from the first of --join that answers.
func (b *Broker) findCluster(ctx context.Context, join []string) error {
	refused := make([]patience, len(join))
	for len(join) > 0 {
		b.enter("looking for a node of the cluster to join: %s", strings.Join(join, ", "))
		for i, addr := range join {
			info, members, err := b.peers.Probe(ctx, addr)
			if err := refused[i].lost(err, time.Now()); err != nil {
				return err
			}
			if err != nil {
				b.log.Warn("no answer from a node to join; trying on", "address", addr, "err", err)
				continue
			}
			b.addresses[info.ID] = addr
			for _, m := range members {
				if m.ID != b.id && m.Address != "" {
					b.addresses[m.ID] = m.Address
				}
			}
			return nil
		}
		select {
		case <-time.After(findPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// raftAddress is where other nodes reach this one: what --voters says of it, else where it listens.
func raftAddress(cfg Config, bound net.Addr) string {
	for _, v := range cfg.Voters {
		if v.ID == cfg.NodeID {
			return v.Addr
		}
	}
	return bound.String()
}

// resolve is where a node is reached: as it is registered, else as the configuration says.
func (b *Broker) resolve(node int32) string {
	if im := b.image(); im != nil {
		if n := im.Broker(node); n != nil && n.RaftAddress != "" {
			return n.RaftAddress
		}
	}
	return b.addresses[node]
}

// image is the metadata's, nil before there is one.
func (b *Broker) image() *cluster.Image {
	select {
	case <-b.joined:
		return b.meta.Image()
	default:
		return nil
	}
}

// knownMembers are the nodes that a newcomer is told of.
func (b *Broker) knownMembers() (out []peers.Member) {
	im := b.image()
	if im == nil {
		return nil
	}
	for _, n := range im.Brokers() {
		out = append(out, peers.Member{ID: n.ID, Identity: n.Identity, Address: n.RaftAddress})
	}
	return out
}

// noticeNodes looks for members that have come: one was connected to, or became a member. Those that
// went are told by the majority's verdict, and so are those that come back after one. im may be nil.
func (b *Broker) noticeNodes(im *cluster.Image) {
	if im == nil {
		return
	}
	for _, id := range b.memberIDs(im) {
		if id == b.id || b.nodes.alive(id) {
			continue
		}
		if _, connected := b.peers.Connected(id); connected && !b.peers.Down(id) {
			b.onNode(id, true)
			if b.peers.Down(id) { // a verdict that was told meanwhile
				b.onNode(id, false)
			}
		}
	}
}

// memberIDs are the nodes that belong to the cluster: those registered, and the members of the
// metadata group, which may not be yet; as configured, while this node knows none.
func (b *Broker) memberIDs(im *cluster.Image) []int32 {
	var ids []int32
	for _, m := range b.meta.Members() {
		ids = append(ids, m.Node)
	}
	if len(ids) == 0 {
		ids = slices.Collect(maps.Keys(b.addresses))
	}
	for _, n := range im.Brokers() {
		if !slices.Contains(ids, n.ID) {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// bulkSnapshot is the stream of a metadata snapshot, for a member that is far behind.
const bulkSnapshot byte = 1

func (b *Broker) openSnapshot(ctx context.Context, to int32) (net.Conn, error) {
	c, err := b.peers.OpenBulk(ctx, to, bulkSnapshot, nil)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (b *Broker) onSnapshot(_ int32, _ []byte, conn net.Conn) error {
	if b.image() == nil {
		return cluster.ErrClosed
	}
	return b.meta.ReceiveSnapshot(conn)
}

// directoryOf is the data directory with which a node was last connected.
func (b *Broker) directoryOf(node int32) string {
	if info, ok := b.peers.Connected(node); ok {
		if last, ok := b.directories.Load(node); !ok || last.(string) != info.Identity {
			b.directories.Store(node, info.Identity)
		}
		return info.Identity
	}
	if last, ok := b.directories.Load(node); ok {
		return last.(string)
	}
	return ""
}

// checkController has the metadata group elect where its leader is missing.
func (b *Broker) checkController() {
	if b.image() != nil {
		b.elector.check(&b.controllers)
	}
}

// onNode has groups elect that have lost their leader with a node, or have got a majority with it.
func (b *Broker) onNode(node int32, up bool) {
	if !b.nodes.set(node, up) {
		return
	}
	b.checkController()
	for _, x := range b.replicas.list() {
		b.elector.check(&x.contender)
		b.tellInSync(x)
	}
}

// onLeaders learns what another node leads, and leads no more.
func (b *Broker) onLeaders(from int32, full bool, payload []byte) {
	var before map[replicaKey]int32 // what it was taken to lead, and does not name any more
	if full {
		before = b.leaders.ledBy(from)
	}
	err := decodeLeaders(payload, from, func(k replicaKey, l leader) {
		delete(before, k)
		if len(l.isr) == 0 {
			b.leaderLost(k, from, l.epoch)
			return
		}
		b.leaders.learn(k, l)
	})
	if err != nil {
		b.log.Warn("a node told nonsense about what it leads", "node", from, "err", err)
		return
	}
	for k, epoch := range before {
		b.leaderLost(k, from, epoch)
	}
}

// leaderLost has a group of this node elect whose leader leads no more, though its node is there.
func (b *Broker) leaderLost(k replicaKey, node, epoch int32) {
	if !b.leaders.resigned(k, node, epoch) {
		return
	}
	if x := b.replicas.get(k.topic, k.partition); x != nil {
		b.elector.checkRole(&x.contender)
	}
}

// noteLeader follows the role of a replica of this node, and tells the other nodes what it leads.
func (b *Broker) noteLeader(x *replica, p *replication.Partition, s replication.State) {
	switch {
	case s.Leading:
		b.tellLeader(x, leader{node: b.id, epoch: s.Epoch, isr: b.inSyncNow(p)})
	case s.Leader >= 0 && s.Leader != b.id:
		b.leaders.resign(x.key) // what the next leader tells is enough
		b.leaders.learn(x.key, leader{node: s.Leader, epoch: s.Epoch})
	default:
		if news := b.leaders.resign(x.key); news != nil {
			b.peers.Publish(news, b.leaders.encode)
		}
	}
	b.elector.checkRole(&x.contender)
}

// tellGivenUp tells the other nodes that a replica of this one does not lead. It may have been elected
// and not come to say so: they know that from their Raft groups alone, and would wait for it.
func (b *Broker) tellGivenUp(x *replica, epoch int32) {
	b.peers.Publish(appendLeader(nil, x.key, leader{epoch: epoch}), b.leaders.encode)
}

// inSyncNow are the replicas that are in sync, and there: a node that is gone is out of sync at
// once, as with Kafka's controller.
func (b *Broker) inSyncNow(p *replication.Partition) []int32 {
	return slices.DeleteFunc(p.InSync(b.now()), func(id int32) bool { return !b.nodes.alive(id) })
}

func (b *Broker) tellLeader(x *replica, l leader) {
	if news := b.leaders.lead(x.key, l); news != nil {
		b.peers.Publish(news, b.leaders.encode)
	}
}

// inSyncInterval is how often leaders look whether their followers are still in sync.
const inSyncInterval = time.Second

// tellAllInSync tells the other nodes when the in-sync replicas of partitions led here change.
func (b *Broker) tellAllInSync() {
	for _, x := range b.replicas.list() {
		if len(x.placement().Replicas) > 1 {
			b.tellInSync(x)
		}
	}
}

// tellInSync tells the other nodes which replicas are in sync, where this one leads and that is
// news.
func (b *Broker) tellInSync(x *replica) {
	if p := x.partition(); p != nil {
		if s := p.State(); s.Leading {
			b.tellLeader(x, leader{node: b.id, epoch: s.Epoch, isr: b.inSyncNow(p)})
		}
	}
}

// foundersPause is between two looks for the other voters.
const foundersPause = 10 * time.Millisecond

// foundersPatience is after how long a node says whom it waits for; it waits on.
const foundersPatience = 3 * time.Second

// founders are the first members of the metadata group where this node is to found it: the node
// itself where it is alone, and for --voters the one with the lowest id, once it knows the data
// directories of all. It is nil for every other node, and wherever one of them knows a cluster.
func (b *Broker) founders(ctx context.Context, cfg Config) ([]cluster.Voter, error) {
	self := cluster.Voter{ID: b.id, Identity: b.dir.Identity()}
	switch {
	case b.dir.ClusterID() != "" || len(cfg.Join) > 0:
		return nil, nil
	case len(cfg.Voters) == 0:
		return []cluster.Voter{self}, nil
	}
	lowest := slices.MinFunc(cfg.Voters, func(a, b Voter) int { return int(a.ID) - int(b.ID) })
	if lowest.ID != b.id {
		return nil, nil
	}
	said := time.Now()
	for {
		voters, missing := []cluster.Voter{self}, []string(nil)
		for _, v := range cfg.Voters {
			if v.ID == b.id {
				continue
			}
			switch info, ok := b.peers.Connected(v.ID); {
			case !ok:
				missing = append(missing, fmt.Sprintf("%d@%s", v.ID, v.Addr))
			case info.ClusterID != "":
				b.log.Info("the voters know a cluster already: this node joins it", "cluster", info.ClusterID)
				return nil, nil
			default:
				voters = append(voters, cluster.Voter{ID: v.ID, Identity: info.Identity})
			}
		}
		if len(missing) == 0 {
			return voters, nil
		}
		if time.Since(said) > foundersPatience {
			said = time.Now()
			b.enter("a new cluster begins when all its voters are there; waiting for %s", strings.Join(missing, ", "))
			b.log.Warn("a new cluster begins when all its voters are there; waiting", "for", missing)
		}
		select {
		case <-time.After(foundersPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
