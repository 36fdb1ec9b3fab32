package peers

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// watch is the goroutine that beats the time: it sends the node's heartbeats and the commit
// indexes, ends silent links, and tells who is down.
type watch struct {
	peers   *Peers
	started bool // guarded by the peers' mu
	kick    chan struct{}
	awake   time.Time    // since when this process has run without a pause; the goroutine's own
	ticked  atomic.Int64 // when it last beat, by the peers' clock
	late    atomic.Int64 // how much later than it should, in ns
	onDown  func(node int32)
	onUp    func(node int32)
	onCome  func(node int32)

	mu       sync.Mutex
	detector detector
	verdicts []change // that have not been told
	came     []int32  // nodes of whose new connections it has not been told
	judged   chan struct{}
}

func (w *watch) init(p *Peers) {
	w.peers, w.kick, w.judged = p, make(chan struct{}, 1), make(chan struct{}, 1)
	w.detector = detector{self: p.config.Node, suspectAfter: p.timing.Suspect, upAfter: p.timing.Recover}
}

// SetMembers says whose majority judges, this node included if it is one of them; it is
// connected to all others from now on.
func (p *Peers) SetMembers(nodes []int32) {
	p.watch.mu.Lock()
	p.watch.detector.setMembers(nodes, time.Now())
	p.watch.mu.Unlock()
	for _, n := range nodes {
		if n != p.config.Node {
			p.peer(n)
		}
	}
	for _, x := range p.all() {
		x.setMember(slices.Contains(nodes, x.node))
	}
}

// OnDown sets who is told that a majority of the members cannot hear a node; before Start. It is
// called from the one goroutine that also calls OnUp, in order: later verdicts wait while it runs.
func (p *Peers) OnDown(f func(node int32)) { p.watch.onDown = f }

// OnUp sets who is told that a node which was down is heard again; before Start.
func (p *Peers) OnUp(f func(node int32)) { p.watch.onUp = f }

// OnConnected sets who is told of every new connection to a node; before Start. It is called as
// OnDown is.
func (p *Peers) OnConnected(f func(node int32)) { p.watch.onCome = f }

// Down tells whether a node is down in the judgement of a majority.
func (p *Peers) Down(node int32) bool {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	return p.watch.detector.isDown(node)
}

// Estranged lists the members that this node does not hear now, or that do not hear it. Unlike
// Down it is this node's own finding: one that is cut off from all others knows no more.
func (p *Peers) Estranged() []int32 {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	return p.watch.detector.estranged(time.Now())
}

// Late is how much later than it should this node's last heartbeat came, or the next one already is:
// by so much this process has too much to do.
func (p *Peers) Late() time.Duration {
	due := p.clock() - p.watch.ticked.Load() - int64(p.timing.Beat)
	return max(0, time.Duration(max(due, p.watch.late.Load())))
}

// connected is told of a new connection; restarted means that it is another process than the one
// that was connected last.
func (w *watch) connected(node int32, restarted bool) {
	w.mu.Lock()
	if restarted {
		w.detector.restarted(node)
	}
	w.detector.heard(node, time.Now())
	w.came = append(w.came, node)
	w.tellSoon()
	w.mu.Unlock()
}

func (w *watch) refused(node int32) {
	w.mu.Lock()
	w.detector.refused(node)
	w.mu.Unlock()
	w.wake()
}

func (w *watch) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// run is the goroutine. A tick that comes very late means that this process did not run.
func (w *watch) run() {
	p := w.peers
	tick := time.NewTicker(p.timing.Beat)
	defer tick.Stop()
	last := time.Now()
	w.ticked.Store(p.clock())
	for {
		select {
		case <-tick.C:
		case <-w.kick:
		case <-p.ctx.Done():
			return
		}
		now := time.Now()
		if now.Sub(last) > p.timing.Beat+p.timing.Suspect/2 {
			w.awake = now
			w.mu.Lock()
			w.detector.paused(now)
			w.mu.Unlock()
			p.log.Warn("this process did not run for a while", "duration", now.Sub(last))
		}
		w.late.Store(int64(now.Sub(last) - p.timing.Beat))
		w.ticked.Store(p.clock())
		last = now
		w.tick(now)
	}
}

// tick is one beat.
func (w *watch) tick(now time.Time) {
	p := w.peers
	all := p.all()
	w.mu.Lock()
	for _, x := range all {
		if l := x.link.Load(); l != nil {
			w.detector.heard(x.node, p.at(l.heard.Load()))
		}
	}
	w.judge(w.detector.tick(now))
	suspects := w.detector.suspects(now)
	w.mu.Unlock()
	frame := newFrame(kindNode, 16)
	frame = appendUint(frame, uint64(len(suspects)))
	for _, n := range suspects {
		frame = appendNode(frame, n)
	}
	due := p.progress.due()
	for _, x := range all {
		l := x.link.Load()
		if l == nil {
			continue
		}
		if now.Sub(p.at(l.heard.Load())) > p.timing.Silence && now.Sub(w.awake) > p.timing.Silence {
			p.running.Go(func() { l.close(errSilent) })
			continue
		}
		l.beat(frame)
		l.expire(now)
		l.sendCommits(due[x.node])
	}
	p.progress.sweep(now)
}

// judge queues verdicts for tell; the caller holds mu.
func (w *watch) judge(changes []change) {
	if len(changes) == 0 {
		return
	}
	w.verdicts = append(w.verdicts, changes...)
	w.tellSoon()
}

// tellSoon wakes tellAll; the caller holds mu.
func (w *watch) tellSoon() {
	select {
	case w.judged <- struct{}{}:
	default:
	}
}

// tellAll is the goroutine that calls OnDown, OnUp and OnConnected.
func (w *watch) tellAll() {
	for {
		select {
		case <-w.judged:
		case <-w.peers.ctx.Done():
			return
		}
		w.mu.Lock()
		verdicts, came := w.verdicts, w.came
		w.verdicts, w.came = nil, nil
		w.mu.Unlock()
		for _, c := range verdicts {
			w.tell(c)
		}
		for _, node := range came {
			if w.onCome != nil {
				w.onCome(node)
			}
		}
	}
}

func (w *watch) tell(c change) {
	log, f := w.peers.log, w.onUp
	if c.down {
		log.Warn("node is down", "node", c.node)
		f = w.onDown
	} else {
		log.Info("node is up again", "node", c.node)
	}
	if f != nil {
		f(c.node)
	}
}

// beat sends the node's heartbeat, unless the one before still waits.
func (l *link) beat(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.urgent) > maxUrgent {
		return
	}
	l.pushShortLocked(b)
}

// maxUrgent is how many bytes of short frames may wait before heartbeats are left out.
const maxUrgent = 256 << 10

// nodeBeat takes a peer's heartbeat: whom it suspects. That it lives, the reader has noted.
func (l *link) nodeBeat(body []byte) error {
	d := decoder{b: body}
	suspects := make([]int32, 0, 4)
	for range d.count(1, math.MaxUint16) {
		suspects = append(suspects, d.node())
	}
	if err := d.end(); err != nil {
		return err
	}
	now := time.Now()
	w := &l.peers.watch
	w.mu.Lock()
	news := w.detector.report(l.peer.node, suspects, now)
	w.mu.Unlock()
	if news {
		w.wake()
	}
	return nil
}

// sendCommits tells a follower how far its leaders on this node have committed.
func (l *link) sendCommits(due []commit) {
	if len(due) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := appendHeader(newFrame(kindCommits, 64+16*len(due)), due[0].header)
	b = appendUint(b, uint64(len(due)))
	for _, c := range due {
		number, err := l.numberLocked(c.group)
		if err != nil {
			return
		}
		b = appendUint(appendUint(appendUint(appendUint(appendUint(b, number), c.term), c.match), c.matchTerm), c.index)
	}
	l.pushShortLocked(b)
}
