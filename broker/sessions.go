package broker

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
)

// fetchPartition is one partition that a client fetches, with what it was last told.
type fetchPartition struct {
	topic     string // "" for a topic id that is not known
	id        cluster.TopicID
	partition int32

	offset      int64
	maxBytes    int32
	leaderEpoch int32 // the client's current leader epoch, -1 for none
	lastEpoch   int32 // leader epoch of the client's last record, -1 for none

	// origin is the session's own entry that this one is a copy of, nil without a session.
	origin *fetchPartition

	// What a session's client knows: a partition without news is left out of the answer.
	told      bool
	highMark  int64
	logStart  int64
	lastError int16
}

// partitionKey identifies a partition within a session: by id from Fetch 13 on, else by name.
type partitionKey struct {
	topic     string
	id        cluster.TopicID
	partition int32
}

func (p *fetchPartition) key(byID bool) partitionKey {
	if byID {
		return partitionKey{id: p.id, partition: p.partition}
	}
	return partitionKey{topic: p.topic, partition: p.partition}
}

// fetchSession remembers what a client fetches, so that it need not repeat it (KIP-227).
type fetchSession struct {
	id   int32
	byID bool

	mu    sync.Mutex
	epoch int32 // that the next request must carry
	// order is the order in which partitions are served: whoever got records goes to the end.
	order []*fetchPartition
	index map[partitionKey]*fetchPartition

	used    time.Time // guarded by the cache's mu, like created
	created time.Time
}

// sessionIdle is after how long a session may be evicted for a new one (as in Kafka).
const sessionIdle = 2 * time.Minute

// fetchSessions is a bounded cache of sessions.
type fetchSessions struct {
	max int
	now func() time.Time

	mu   sync.Mutex
	byID map[int32]*fetchSession
}

func newFetchSessions(max int) *fetchSessions {
	return &fetchSessions{max: max, now: time.Now, byID: map[int32]*fetchSession{}}
}

// fetchPlan is what one Fetch request is to read and how it is answered.
type fetchPlan struct {
	parts       []*fetchPartition
	session     *fetchSession // nil without one
	incremental bool
}

// sessionID is the id that the answer carries.
func (p *fetchPlan) sessionID() int32 {
	if p.session == nil {
		return 0
	}
	return p.session.id
}

// plan resolves the request's session; parts are the request's own partitions.
func (c *fetchSessions) plan(req *kmsg.FetchRequest, parts []*fetchPartition, forgotten []partitionKey) (*fetchPlan, error) {
	byID := req.Version >= 13
	switch {
	case req.SessionEpoch == -1:
		c.drop(req.SessionID)
		return &fetchPlan{parts: parts}, nil
	case req.SessionEpoch == 0:
		c.drop(req.SessionID)
		s := c.create(parts, byID)
		if s == nil {
			return &fetchPlan{parts: parts}, nil
		}
		return &fetchPlan{parts: s.copies(), session: s}, nil
	}
	s := c.touch(req.SessionID)
	if s == nil {
		return nil, kerr.FetchSessionIDNotFound
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID != byID {
		return nil, kerr.FetchSessionTopicIDError
	}
	if s.epoch != req.SessionEpoch {
		return nil, kerr.InvalidFetchSessionEpoch
	}
	s.epoch = nextSessionEpoch(s.epoch)
	s.update(parts, forgotten)
	return &fetchPlan{parts: s.copies(), session: s, incremental: true}, nil
}

// copies returns the session's partitions as they are now: the request that reads them may still
// wait when the client's next one changes the session.
func (s *fetchSession) copies() []*fetchPartition {
	block := make([]fetchPartition, len(s.order))
	parts := make([]*fetchPartition, len(s.order))
	for i, p := range s.order {
		block[i] = *p
		block[i].origin = p
		parts[i] = &block[i]
	}
	return parts
}

func nextSessionEpoch(e int32) int32 {
	if e == math.MaxInt32 {
		return 1
	}
	return e + 1
}

// update adds, changes and forgets partitions; the caller holds mu.
func (s *fetchSession) update(parts []*fetchPartition, forgotten []partitionKey) {
	for _, p := range parts {
		if old := s.index[p.key(s.byID)]; old != nil {
			old.offset, old.maxBytes, old.leaderEpoch, old.lastEpoch = p.offset, p.maxBytes, p.leaderEpoch, p.lastEpoch
			continue
		}
		s.index[p.key(s.byID)] = p
		s.order = append(s.order, p)
	}
	if len(forgotten) == 0 {
		return
	}
	for _, k := range forgotten {
		delete(s.index, k)
	}
	kept := make([]*fetchPartition, 0, len(s.index))
	for _, p := range s.order {
		if s.index[p.key(s.byID)] == p {
			kept = append(kept, p)
		}
	}
	s.order = kept
}

// rotate moves partitions that got records behind the others, so that none starves.
func (s *fetchSession) rotate(served map[*fetchPartition]bool) {
	if len(served) == 0 || len(served) == len(s.order) {
		return
	}
	order := make([]*fetchPartition, 0, len(s.order))
	var last []*fetchPartition
	for _, p := range s.order {
		if served[p] {
			last = append(last, p)
		} else {
			order = append(order, p)
		}
	}
	s.order = append(order, last...)
}

func (c *fetchSessions) drop(id int32) {
	if id == 0 {
		return
	}
	c.mu.Lock()
	delete(c.byID, id)
	c.mu.Unlock()
}

// count is how many are open.
func (c *fetchSessions) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byID)
}

func (c *fetchSessions) touch(id int32) *fetchSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byID[id]
	if s != nil {
		s.used = c.now()
	}
	return s
}

// create makes a session, or returns nil when the cache is full of sessions in use: the client
// then goes on without one.
func (c *fetchSessions) create(parts []*fetchPartition, byID bool) *fetchSession {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if len(c.byID) >= c.max && !c.evict(now) {
		return nil
	}
	s := &fetchSession{byID: byID, epoch: 1, index: make(map[partitionKey]*fetchPartition, len(parts)), used: now, created: now}
	for _, p := range parts {
		k := p.key(byID)
		if s.index[k] == nil {
			s.index[k] = p
			s.order = append(s.order, p)
		}
	}
	for s.id == 0 || c.byID[s.id] != nil {
		s.id = rand.Int32N(math.MaxInt32-1) + 1
	}
	c.byID[s.id] = s
	return s
}

// evict removes the session that has been idle longest, if that is long enough.
func (c *fetchSessions) evict(now time.Time) bool {
	var oldest *fetchSession
	for _, s := range c.byID {
		if oldest == nil || s.used.Before(oldest.used) {
			oldest = s
		}
	}
	if oldest == nil || now.Sub(oldest.used) < sessionIdle {
		return false
	}
	delete(c.byID, oldest.id)
	return true
}
