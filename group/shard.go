package group

import (
	"context"
	"log/slog"
	"quorumlog/internal/shards"
	"sync"
	"time"
)

// phase is what a shard is doing.
type phase int8

const (
	loading phase = iota
	active
	resigned
)

// shard serves the groups of one offsets partition during one leadership.
type shard struct {
	c         *Coordinator
	partition int32
	epoch     int32
	log       shards.Log
	logger    *slog.Logger
	start     time.Time     // deadlines count from here, on the monotonic clock
	stop      chan struct{} // closed by resign

	mu       sync.Mutex // guards all that follows
	phase    phase
	image    *image
	timers   timers
	clock    *time.Timer // rings for the first of timers
	ringsAt  time.Duration
	cleanup  timer
	queue    []*write
	queued   int      // bytes of queue's records
	inFlight []*write // the writes of the one batch on its way
	writing  bool     // the writer's goroutine is running
	end      int64    // the log's end after the newest committed batch, 0: unknown
}

func newShard(c *Coordinator, partition, epoch int32, l shards.Log) *shard {
	return &shard{
		c:         c,
		partition: partition,
		epoch:     epoch,
		log:       l,
		logger:    c.opts.Logger.With("partition", partition, "epoch", epoch),
		start:     time.Now(),
		stop:      make(chan struct{}),
	}
}

// enter locks the shard if it is active; otherwise it returns why it is not.
func (s *shard) enter() int16 {
	s.mu.Lock()
	switch s.phase {
	case active:
		return none
	case loading:
		s.mu.Unlock()
		return coordinatorLoadInProgress
	default:
		s.mu.Unlock()
		return notCoordinator
	}
}

func (s *shard) stopped() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

// Pauses between attempts to read the log.
const (
	firstReload = 100 * time.Millisecond
	maxReload   = 5 * time.Second
)

// Load replays the log until that succeeds or the shard has resigned.
func (s *shard) Load() {
	for pause := firstReload; !s.stopped(); pause = min(2*pause, maxReload) {
		im := newImage(s.logger)
		err := im.replay(s.log, s.stopped)
		if err == nil {
			s.activate(im)
			return
		}
		s.logger.Error("cannot load consumer groups", "err", err, "retry_in", pause)
		select {
		case <-s.stop:
		case <-time.After(pause):
		}
	}
}

// activate begins to serve what was loaded.
func (s *shard) activate(im *image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != loading {
		return
	}
	s.image, s.end, s.phase = im, im.end, active
	s.clock = time.AfterFunc(time.Hour, s.ring)
	s.ringsAt = s.now() + time.Hour
	for _, g := range im.groups {
		s.restore(g)
	}
	s.cleanup.fire = s.expireOffsets
	s.after(&s.cleanup, s.c.opts.RetentionCheck)
	level := slog.LevelInfo
	if len(im.groups) == 0 {
		level = slog.LevelDebug // most of the fifty partitions of a small cluster
	}
	s.logger.Log(context.Background(), level, "loaded consumer groups", "groups", len(im.groups), "took", s.now())
}

// Resign ends the shard. Whoever waits is sent to look for the new coordinator.
func (s *shard) Resign() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == resigned {
		return
	}
	if s.clock != nil {
		s.clock.Stop()
	}
	s.phase = resigned
	close(s.stop)
	abandoned := append(s.inFlight, s.queue...)
	s.inFlight, s.queue, s.queued = nil, nil, 0
	for _, w := range abandoned {
		w.done(shards.ErrNotLeader)
	}
	if s.image != nil {
		for _, g := range s.image.groups {
			g.dismiss(notCoordinator)
		}
	}
	s.image, s.timers = nil, nil
}

func (s *shard) now() time.Duration { return time.Since(s.start) }

// after lets a timer fire in d.
func (s *shard) after(t *timer, d time.Duration) {
	s.timers.set(t, s.now()+d)
	s.arm()
}

// arm makes the clock ring no later than the first timer wants.
func (s *shard) arm() {
	if len(s.timers) == 0 || s.timers[0].queued >= s.ringsAt {
		return
	}
	s.ringsAt = s.timers[0].queued
	s.clock.Reset(s.ringsAt - s.now())
}

// ring fires the timers that are due.
func (s *shard) ring() {
	if s.enter() != none {
		return
	}
	defer s.mu.Unlock()
	for {
		t := s.timers.expired(s.now())
		if t == nil {
			break
		}
		t.fire()
	}
	s.ringsAt = s.now() + time.Hour
	if len(s.timers) > 0 {
		s.ringsAt = min(s.ringsAt, s.timers[0].queued)
	}
	s.clock.Reset(s.ringsAt - s.now())
}

// group returns the group of that name, or nil.
func (s *shard) group(id string) *group {
	g := s.image.groups[id]
	if g != nil {
		s.adopt(g)
	}
	return g
}

// create returns the group of that name, made where need be.
func (s *shard) create(id string) *group {
	g := s.image.group(id)
	s.adopt(g)
	return g
}

// adopt gives a group that records have created what a leader's group needs.
func (s *shard) adopt(g *group) {
	if g.s == nil {
		g.s = s
		g.joinTimer.fire = g.joinExpired
		g.syncTimer.fire = g.syncExpired
	}
}
