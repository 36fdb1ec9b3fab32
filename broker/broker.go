// Package broker wires the parts of a node together and answers Kafka's APIs, one file each.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"quorumlog/broker/config"
	"quorumlog/cluster"
	"quorumlog/group"
	"quorumlog/internal/durable"
	"quorumlog/log"
	"quorumlog/protocol"
	"quorumlog/replication"
	"quorumlog/replication/peers"
	"quorumlog/txn"
)

// Config is what a broker is started with.
type Config struct {
	NodeID  int32
	DataDir string
	// Listen is where clients connect, HOST:PORT; port 0 takes any free one.
	Listen string
	// Advertise is where clients are told to connect; empty: chosen connection by connection.
	Advertise string
	// RaftListen is where other nodes connect.
	RaftListen string
	// AdminListen serves health and metrics; empty turns it off.
	AdminListen string
	// Voters are the first members of the metadata group; none means this node alone.
	Voters []Voter
	// Join lists nodes of a running cluster to join.
	Join     []string
	Settings *config.Values
	Logger   *slog.Logger
	Version  string

	// Descriptors is how many file descriptors the process may have, 0 where that is not known.
	Descriptors int

	// What tests put in the place of the system's: the wall clock, the free disk space in bytes, and
	// how other nodes are dialled.
	Now  func() time.Time
	Free func(dir string) (bytes int64, _ error)
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Voter is a first member of the metadata group.
type Voter struct {
	ID   int32
	Addr string // HOST:PORT of its Raft listener
}

// Broker is one running node.
type Broker struct {
	id       int32
	dataDir  string
	settings *config.Values
	log      *slog.Logger
	now      func() time.Time

	dir         *cluster.DataDir
	stable      *replication.StableStore
	node        *replication.Node
	meta        *cluster.Metadata
	replicas    *replicas
	groups      *group.Coordinator
	txns        *txn.Coordinator
	markers     *markerSender
	sessions    *fetchSessions
	leaders     *leaderTable
	nodes       *nodeSet
	elector     *elector
	isolation   isolation // abdicate's own
	controllers contender // the metadata group, as the elector sees it
	peers       *peers.Peers
	joined      chan struct{}    // closed once meta is there
	raftAddress string           // where other nodes reach this one
	addresses   map[int32]string // of the voters, as configured
	directories sync.Map         // node id → data directory with which it was last connected
	arrived     chan *replica    // whose moves have arrived

	controllerHandlers map[int16]controllerHandler // by API key
	brokerHandlers     map[int16]controllerHandler // by API key: see onBroker
	controllerTurned   turning                     // there may be another controller

	aligning sync.Mutex // held from where members of the metadata group are decided on until they are made so

	producerIDs producerIDs
	disk        *disk
	cleaner     cleaner
	advertise   *advertiser
	apis        *protocol.Table
	server      *protocol.Server
	listener    net.Listener
	adminServer *http.Server // nil where it is turned off
	adminAddr   net.Addr
	version     string
	descriptors int                    // of the process, 0: unknown
	phase       atomic.Pointer[string] // what the start is at
	serving     atomic.Bool            // the start is done: every field is set
	startTook   time.Duration
	errorCodes  *prometheus.CounterVec
	elections   atomic.Int64 // of partitions, that this node won

	ctx        context.Context // of background work
	cancel     context.CancelFunc
	background sync.WaitGroup
}

// Open starts a broker: when it returns, clients are served. What can be told wrong from the
// configuration alone is refused before anything is written.
func Open(ctx context.Context, cfg Config) (_ *Broker, err error) {
	begin := time.Now()
	b := &Broker{
		id: cfg.NodeID, dataDir: cfg.DataDir, settings: cfg.Settings, log: cfg.Logger, now: cfg.Now,
		version: cfg.Version, errorCodes: newErrorCodes(), descriptors: cfg.Descriptors,
	}
	if b.now == nil {
		b.now = time.Now
	}
	b.disk = newDisk(cfg.DataDir, cfg.Settings.Int("log.reserve.bytes"), cfg.Free, cfg.Logger)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			_ = b.closeParts()
		}
	}()
	// The port first: a second broker on the same address must not touch the data.
	if b.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, listenError(cfg.Listen, err)
	}
	b.leaders, b.nodes = newLeaderTable(), newNodeSet(b.id)
	b.joined, b.addresses = make(chan struct{}), map[int32]string{}
	b.arrived = make(chan *replica, 1024)
	b.elector = newElector(b.id, b.nodes.alive, b.late)
	b.apis = b.table()
	b.registerInternal()
	b.newServer()
	b.enter("the data directory is being opened")
	if err := b.openStorage(); err != nil {
		return nil, err
	}
	b.prepareReplicas()
	if err := b.openAdmin(cfg.AdminListen); err != nil {
		return nil, err
	}
	if err := b.openPeers(ctx, cfg); err != nil {
		return nil, err
	}
	starting, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	go b.giveUpWhenRefused(starting, giveUp)
	if err := b.openMetadata(starting, cfg); err != nil {
		return nil, err
	}
	b.openPartitions()
	b.serve()
	b.startTook = time.Since(begin)
	b.serving.Store(true)
	return b, nil
}

func listenError(addr string, err error) error {
	return fmt.Errorf("cannot listen on %s: %w; is another broker running there? choose another address with --listen", addr, errors.Unwrap(err))
}

// openStorage locks the data directory and opens what all partitions share.
func (b *Broker) openStorage() error {
	dir, err := cluster.OpenDataDir(b.dataDir, b.id)
	if err != nil {
		return err
	}
	b.dir = dir
	if err := makeDurably(b.topicsDir()); err != nil {
		return err
	}
	if b.stable, err = replication.OpenStableStore(filepath.Join(b.dataDir, "raft.db")); err != nil {
		return err
	}
	_, segments := shareDescriptors(b.descriptors)
	b.node = &replication.Node{
		ID: b.id, Identity: dir.Identity(),
		Files: log.NewFiles(segments), Syncer: log.NewSyncer(),
		Stable: b.stable, Transport: replication.NewTransport(b.id),
		Logger: b.log.With("part", "replication"), Now: b.now,
		Timing: replication.Timing{Lag: time.Duration(b.settings.Int("replica.lag.time.max.ms")) * time.Millisecond},
	}
	b.disk.check()
	return nil
}

func (b *Broker) topicsDir() string { return filepath.Join(b.dataDir, "topics") }

// makeDurably makes a directory that is found again after a loss of power. The topics' own are made
// durable with their partitions' first entries.
func makeDurably(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return durable.Dir(filepath.Dir(dir))
}

// openMetadata joins the metadata group and registers this broker.
func (b *Broker) openMetadata(ctx context.Context, cfg Config) (err error) {
	const group = "cluster"
	b.enter("waiting for the other voters")
	founders, err := b.founders(ctx, cfg)
	if err != nil {
		return err
	}
	b.meta, err = cluster.Open(cluster.Options{
		Dir: filepath.Join(b.dataDir, "cluster"), NodeID: b.id, Identity: b.dir.Identity(),
		Voters:       founders,
		Features:     map[string]int16{transactionVersion: maxTransactionVersion},
		PeerIdentity: b.directoryOf, OpenStream: b.openSnapshot,
		OnRole:    func(int32, uint64, bool) { b.checkController(); b.controllerTurned.turn() },
		Transport: b.node.Transport.Group(group), Stable: b.stable.Group(group),
		Logger: b.log.With("part", "metadata"),
	})
	if err != nil {
		return err
	}
	b.controllers = contender{
		voters: func() (ids []int32) {
			for _, v := range b.meta.Quorum().Voters {
				ids = append(ids, v.ID)
			}
			slices.Sort(ids)
			return ids
		},
		leader:   func() int32 { node, _ := b.meta.Leader(); return node },
		term:     func() uint64 { return b.meta.Quorum().Term },
		campaign: b.meta.Campaign,
		urgent:   true,
	}
	close(b.joined)
	b.checkController()
	b.background.Go(func() { b.elector.run(b.ctx) })
	b.noticeNodes(b.meta.Image())
	host, port, err := advertised(cfg.Advertise, b.listener.Addr())
	if err != nil {
		return err
	}
	b.advertise = newAdvertiser(host, port, b.log)
	b.enter("registering with the controller: a majority of the voters must run")
	err = b.register(ctx, cluster.Broker{
		ID: b.id, Incarnation: cluster.NewTopicID(nil).String(), Identity: b.dir.Identity(),
		Host: b.registeredHost(host), Port: port, Rack: b.settings.String("broker.rack"), RaftAddress: b.raftAddress,
	})
	if err != nil {
		return err
	}
	im := b.meta.Image()
	if err := b.dir.SetClusterID(im.ClusterID()); err != nil {
		return err
	}
	b.applySettings(im)
	b.producerIDs.allocate = b.takeProducerIDs
	return nil
}

// registeredHost is where clients that know this broker from another one reach it: as advertised,
// else the address that it listens on, and for all interfaces the one that the other nodes use. It
// has to be the name that the broker gives itself: a client that is told of another one gives up its
// connections, and repeats what was on its way.
func (b *Broker) registeredHost(host string) string {
	if host != "" {
		return host
	}
	ip := addrOf(b.listener.Addr())
	if ip.IsUnspecified() {
		host, _, _ = net.SplitHostPort(b.raftAddress)
		var err error
		if ip, err = netip.ParseAddr(host); err != nil {
			return host
		}
	}
	return nameOf(ip)
}

// advertised splits --advertise; an empty host means that it is chosen connection by connection.
func advertised(addr string, bound net.Addr) (host string, port int32, err error) {
	boundPort := int32(bound.(*net.TCPAddr).Port)
	if addr == "" {
		return "", boundPort, nil
	}
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("--advertise %s is not HOST:PORT: %w", addr, err)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("--advertise %s: port %q is not a number from 1 to 65535", addr, text)
	}
	return host, int32(n), nil
}

// prepareReplicas makes the set of replicas, empty before the metadata says which there are.
func (b *Broker) prepareReplicas() {
	b.replicas = &replicas{
		node: b.node, root: b.topicsDir(), self: b.id, log: b.log,
		onRole: b.onRole, onMembership: b.onMembership,
		givenUp: b.tellGivenUp, lost: b.rebuild,
		opened: func(x *replica) { b.align(x); b.elector.check(&x.contender) },
		later:  b.leaders.later, late: b.late,
		seen: new(cluster.Image), all: map[replicaKey]*replica{}, unopened: map[replicaKey]*replica{}, leaving: map[replicaKey]*replica{},
		config: func(t *cluster.Topic) config.TopicConfig { return b.settings.Topic(t.Configs) },
	}
}

// openPartitions registers the replicas that belong here and opens them in the background;
// a client that asks for one sooner opens it itself.
func (b *Broker) openPartitions() {
	b.groups = b.newGroups()
	b.markers = newMarkerSender(b)
	b.txns = b.newTxns()
	b.sessions = newFetchSessions(int(b.settings.Int("max.incremental.fetch.session.cache.slots")))
	opened := make(chan struct{}, 1)
	wake := func() {
		select {
		case opened <- struct{}{}:
		default: // it will look anyway
		}
	}
	b.meta.Watch(func(old, now *cluster.Image) {
		b.onImage(old, now)
		wake()
	})
	b.replicas.follow(b.meta.Image())
	b.noticeNodes(b.meta.Image())
	b.replicas.sweep(b.meta.Image())
	wake()
	b.background.Go(func() { b.openLoop(opened) })
	b.background.Go(b.cleanLoop)
	b.background.Go(func() {
		every(b.ctx, b.interval("transaction.abort.timed.out.transaction.cleanup.interval.ms"), b.txns.AbortTimedOut)
	})
	b.background.Go(func() {
		every(b.ctx, b.interval("transaction.remove.expired.transaction.cleanup.interval.ms"), b.txns.Expire)
	})
	b.background.Go(func() { every(b.ctx, diskInterval, b.newRetention().look) })
	b.background.Go(func() { every(b.ctx, b.imbalanceInterval(), b.preferLeaders) })
	b.background.Go(b.movesLoop)
	b.background.Go(func() { every(b.ctx, movesInterval, b.findMoves) })
	b.background.Go(func() { every(b.ctx, inSyncInterval, b.tellAllInSync) })
	b.background.Go(func() { every(b.ctx, time.Second, b.abdicate) })
	b.background.Go(func() { every(b.ctx, controlInterval, (&controller{Broker: b}).round) })
}

// onImage follows a change of the metadata. It runs on the goroutine that applies them.
func (b *Broker) onImage(old, now *cluster.Image) {
	if settingsChanged(old, now, b.id) {
		b.applySettings(now)
	}
	b.replicas.follow(now)
	b.peers.SetMembers(b.memberIDs(now))
	b.noticeNodes(now)
	if gone := deletedTopics(old, now); len(gone) > 0 {
		b.leaders.forget(now)
		b.groups.OnTopicsDeleted(gone...)
	}
}

func deletedTopics(old, now *cluster.Image) (gone []group.DeletedTopic) {
	for was, is := range now.TopicsSince(old) {
		if is == nil {
			gone = append(gone, group.DeletedTopic{Name: was.Name, ID: was.ID})
		}
	}
	return gone
}

func (b *Broker) openLoop(wake <-chan struct{}) {
	for {
		select {
		case <-wake:
			b.replicas.openAll(b.ctx)
		case <-b.ctx.Done():
			return
		}
	}
}

func (b *Broker) serve() {
	b.background.Go(func() {
		if err := b.server.Serve(b.listener); err != nil && !errors.Is(err, protocol.ErrServerClosed) {
			b.log.Error("the listener failed", "err", err)
		}
	})
}

// Addr is the address on which clients are served.
func (b *Broker) Addr() net.Addr { return b.listener.Addr() }

// Failed is closed when the broker cannot go on: its metadata could not be applied. Err says why.
func (b *Broker) Failed() <-chan struct{} { return b.meta.Failed() }

// Err is the reason of Failed.
func (b *Broker) Err() error { return b.meta.Err() }

// Close stops serving, lets requests that were decided be answered, and closes all files. It
// returns when everything is on disk, or with ctx's error when that takes too long.
func (b *Broker) Close(ctx context.Context) error {
	b.handOver(ctx)
	err := b.server.Shutdown(ctx)
	done := make(chan error, 1)
	go func() { done <- b.closeParts() }()
	select {
	case e := <-done:
		return errors.Join(err, e)
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("closing the data directory: %w", ctx.Err()))
	}
}

// Abandon closes the broker without handing over what it leads, and without waiting for requests: to
// the other nodes and to clients it is as if the process had died. It is for tests.
func (b *Broker) Abandon() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.server.Shutdown(ctx)
	return b.closeParts()
}

// closeParts closes whatever is open, in the opposite order of Open.
func (b *Broker) closeParts() error {
	var errs []error
	b.cancel()
	if b.listener != nil {
		b.listener.Close()
	}
	if b.adminServer != nil {
		errs = append(errs, b.adminServer.Close())
	}
	b.background.Wait()
	if b.groups != nil {
		b.groups.Close()
	}
	if b.txns != nil {
		b.txns.Close()
		b.markers.close()
	}
	if b.replicas != nil {
		errs = append(errs, b.replicas.close())
	}
	if b.peers != nil {
		errs = append(errs, b.peers.Close())
	}
	if b.meta != nil {
		errs = append(errs, b.meta.Close())
	}
	if b.node != nil {
		errs = append(errs, b.node.Close())
	}
	if b.stable != nil {
		errs = append(errs, b.stable.Close())
	}
	if b.dir != nil {
		errs = append(errs, b.dir.Close())
	}
	return errors.Join(errs...)
}

// address is where a client reaches a broker: this one by the way it came, others as they registered.
func (b *Broker) address(c *protocol.Conn, n *cluster.Broker) (string, int32) {
	if n.ID == b.id {
		return b.advertise.self(c.LocalAddr(), c.RemoteAddr())
	}
	return n.Host, n.Port
}

// controllerFor is the node that clients send administrative requests to.
func (b *Broker) controllerFor(im *cluster.Image) int32 {
	if node, _ := b.meta.Leader(); node >= 0 && im.Broker(node) != nil {
		return node
	}
	return -1
}
