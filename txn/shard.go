package txn

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"quorumlog/internal/shards"
	"quorumlog/record"
)

// phase is what a shard is doing.
type phase int8

const (
	loading phase = iota
	active
	resigned
)

// shard serves the transactional ids of one partition during one leadership.
type shard struct {
	c         *Coordinator
	partition int32
	epoch     int32 // Raft term: the coordinator epoch that markers carry
	log       shards.Log
	logger    *slog.Logger
	life      context.Context // ends with resign
	end       context.CancelFunc

	mu       sync.Mutex // guards all that follows
	phase    phase
	since    time.Time // when it became active
	image    *image
	ends     map[string]chan struct{} // by id of a transaction that is ending: closed when it has ended
	links    map[string]*link         // by id of an ongoing transaction
	swept    map[string]bool          // ids about which a decision of sweep's waits
	queue    []*op
	inFlight []*op // those of the one batch on its way
	writing  bool  // the writer's goroutine is running
	next     int64 // the log's end after the newest committed batch
}

func newShard(c *Coordinator, partition, epoch int32, l shards.Log) *shard {
	s := &shard{
		c: c, partition: partition, epoch: epoch, log: l,
		logger: c.opts.Logger.With("partition", partition, "epoch", epoch),
		ends:   map[string]chan struct{}{}, links: map[string]*link{}, swept: map[string]bool{},
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s
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

// Pauses between attempts to read the log.
const (
	firstReload = 100 * time.Millisecond
	maxReload   = 5 * time.Second
)

// Load replays the log until that succeeds or the shard has resigned.
func (s *shard) Load() {
	stopped := func() bool { return s.life.Err() != nil }
	for pause := firstReload; !stopped(); pause = min(2*pause, maxReload) {
		im := newImage(s.logger)
		err := im.replay(s.log, stopped)
		if err == nil {
			s.activate(im)
			return
		}
		s.logger.Error("cannot load transactions", "err", err, "retry_in", pause)
		select {
		case <-s.life.Done():
		case <-time.After(pause):
		}
	}
}

// activate begins to serve what was loaded, and ends what its predecessor had decided to end.
func (s *shard) activate(im *image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != loading {
		return
	}
	s.image, s.next, s.phase, s.since = im, im.end, active, time.Now()
	level := slog.LevelInfo
	if len(im.all) == 0 {
		level = slog.LevelDebug // most of the fifty partitions of a small cluster
	}
	s.logger.Log(s.life, level, "loaded transactions", "ids", len(im.all))
	for _, t := range im.all {
		s.follow(t)
	}
}

// Resign ends the shard. Whoever waits is sent to look for the new coordinator.
func (s *shard) Resign() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == resigned {
		return
	}
	s.phase = resigned
	s.end()
	abandoned := append(s.inFlight, s.queue...)
	s.inFlight, s.queue = nil, nil
	for _, o := range abandoned {
		o.done(nil, notCoordinator)
	}
	for _, ended := range s.ends {
		close(ended)
	}
	s.image, s.ends, s.links = nil, nil, nil
}

// follow does what the present state of an id asks for, after the state has been applied.
func (s *shard) follow(t *transaction) {
	if t.state != Ongoing {
		delete(s.links, t.id)
	}
	if !t.state.ending() {
		s.settled(t.id)
		return
	}
	if s.ends[t.id] == nil {
		s.ends[t.id] = make(chan struct{})
	}
	e := Ended{
		TransactionalID: t.id,
		Marker: record.Marker{
			ProducerID: t.producerID, ProducerEpoch: t.epoch,
			CoordinatorEpoch: s.epoch, Commit: t.state.commits(),
		},
		Version: t.version, Partitions: t.partitions,
	}
	if len(e.Partitions) == 0 {
		s.complete(t.id, t.now())
		return
	}
	s.c.opts.Markers.Write(s.life, e, func() {
		if s.enter() == none {
			defer s.mu.Unlock()
			s.complete(t.id, t.now())
		}
	})
}

// settled tells those who wait for the end of an id's transaction.
func (s *shard) settled(id string) {
	if ended := s.ends[id]; ended != nil {
		close(ended)
		delete(s.ends, id)
	}
}

// completeRetry is when a transaction whose end could not be written is tried again.
const completeRetry = time.Second

// complete notes that a transaction has all its markers.
func (s *shard) complete(id string, ending identity) {
	s.queueUp(&op{
		id: id,
		decide: func(t *transaction) (*transaction, int16) {
			if t == nil || !t.state.ending() || t.now() != ending {
				return nil, none
			}
			return t.completed(s.c.nowMs()), none
		},
		done: func(_ *transaction, code int16) {
			if code == none || s.phase != active {
				return
			}
			time.AfterFunc(completeRetry, func() {
				if s.enter() == none {
					defer s.mu.Unlock()
					s.complete(id, ending)
				}
			})
		},
	})
}
