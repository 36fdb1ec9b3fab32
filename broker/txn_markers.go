package broker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/txn"
)

// Bounds of what is sent to one node.
const (
	markersAtOnce   = 500              // partitions of one request
	markerRequests  = 4                // requests on their way to a node
	markersTimeout  = 10 * time.Second // of one request
	markerPause     = 50 * time.Millisecond
	maxMarkerPause  = time.Second
	markersVersion  = 2
	markerPauseGrow = 2
)

// markerSender has the ends of transactions written into their partitions: by WriteTxnMarkers to the
// nodes that lead them, again and again until every partition has its marker or does not exist any
// more. What it holds is bounded by the transactions that are ending.
type markerSender struct {
	b     *Broker
	tasks tasks        // requests on their way
	open  atomic.Int64 // markers that are not written yet

	mu     sync.Mutex
	queues map[int32]*markerQueue // by node
}

// markerQueue is what one node is to write.
type markerQueue struct {
	waiting []*markerUnit
	busy    map[topicPartition]bool // partitions that a request on its way is about
	sending int                     // requests on their way
}

// markerJob is one transaction's end.
type markerJob struct {
	ctx     context.Context
	e       txn.Ended
	left    atomic.Int32 // partitions without a marker
	written func()
}

// markerUnit is one partition's marker.
type markerUnit struct {
	job   *markerJob
	tp    topicPartition
	pause time.Duration // before the next attempt
}

func newMarkerSender(b *Broker) *markerSender {
	return &markerSender{b: b, queues: map[int32]*markerQueue{}}
}

// close waits for the requests on their way; the coordinator has resigned from everything.
func (m *markerSender) close() { m.tasks.close() }

// Write implements txn.Markers.
func (m *markerSender) Write(ctx context.Context, e txn.Ended, written func()) {
	job := &markerJob{ctx: ctx, e: e, written: written}
	job.left.Store(int32(len(e.Partitions)))
	m.open.Add(int64(len(e.Partitions)))
	m.tasks.run(func() {
		for _, p := range e.Partitions {
			m.route(&markerUnit{job: job, tp: topicPartition{p.Topic, p.Partition}, pause: markerPause})
		}
	})
}

// route queues a marker for the node that leads its partition.
func (m *markerSender) route(u *markerUnit) {
	im := m.b.meta.Image()
	t := im.Topic(u.tp.topic)
	switch {
	case u.job.ctx.Err() != nil:
		m.open.Add(-1) // another coordinator's now
		return
	case t == nil, int(u.tp.partition) >= len(t.Partitions), u.tp.partition < 0:
		m.b.log.Info("a transaction's partition does not exist any more", "topic", u.tp.topic, "partition", u.tp.partition)
		m.done(u)
		return
	}
	leader := m.b.leadership(im, t, u.tp.partition).leader
	if leader < 0 {
		m.again(u)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	q := m.queues[leader]
	if q == nil {
		q = &markerQueue{busy: map[topicPartition]bool{}}
		m.queues[leader] = q
	}
	q.waiting = append(q.waiting, u)
	m.kick(leader, q)
}

// kick sends what can be sent; the caller holds mu.
func (m *markerSender) kick(node int32, q *markerQueue) {
	if q.sending == markerRequests {
		return
	}
	units := q.take()
	if len(units) == 0 {
		return
	}
	q.sending++
	m.tasks.run(func() { m.send(node, q, units) })
}

// take removes from the queue the markers of the next request, one a partition.
func (q *markerQueue) take() (units []*markerUnit) {
	var later []*markerUnit
	for i, u := range q.waiting {
		switch {
		case len(units) == markersAtOnce:
			later = append(later, q.waiting[i:]...)
			q.waiting = later
			return units
		case q.busy[u.tp]:
			later = append(later, u)
		default:
			q.busy[u.tp] = true
			units = append(units, u)
		}
	}
	q.waiting = later
	return units
}

// send has one request's markers written, and goes on with the next one's.
func (m *markerSender) send(node int32, q *markerQueue, units []*markerUnit) {
	codes := m.ask(node, units)
	m.mu.Lock()
	for _, u := range units {
		delete(q.busy, u.tp)
	}
	q.sending--
	m.kick(node, q)
	m.mu.Unlock()
	for i, u := range units {
		switch codes[i] {
		case 0:
			m.done(u)
		case kerr.InvalidProducerEpoch.Code:
			// The producer has written with a later epoch: no transaction of this one is open there.
			m.b.log.Warn("a partition knows a later producer than the transaction that ends", "topic", u.tp.topic,
				"partition", u.tp.partition, "transactional_id", u.job.e.TransactionalID, "epoch", u.job.e.Marker.ProducerEpoch)
			m.done(u)
		default:
			m.again(u)
		}
	}
}

// ask sends one request and returns the code of each marker.
func (m *markerSender) ask(node int32, units []*markerUnit) []int16 {
	ctx, cancel := context.WithTimeout(m.b.ctx, markersTimeout)
	defer cancel()
	req := markersRequest(units)
	resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	err := m.b.askBroker(ctx, node, req, resp)
	if err != nil {
		m.b.log.Debug("markers were not written", "node", node, "err", err)
	}
	return markerCodes(units, resp)
}

// markersRequest is a request for markers, together by transaction.
func markersRequest(units []*markerUnit) *kmsg.WriteTxnMarkersRequest {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.SetVersion(markersVersion)
	at := map[*markerJob]int{}
	for _, u := range units {
		i, ok := at[u.job]
		if !ok {
			i = len(req.Markers)
			at[u.job] = i
			e := u.job.e
			req.Markers = append(req.Markers, kmsg.WriteTxnMarkersRequestMarker{
				ProducerID: e.Marker.ProducerID, ProducerEpoch: e.Marker.ProducerEpoch, Committed: e.Marker.Commit,
				CoordinatorEpoch: e.Marker.CoordinatorEpoch, TransactionVersion: int8(e.Version),
			})
		}
		topics := &req.Markers[i].Topics
		if n := len(*topics); n == 0 || (*topics)[n-1].Topic != u.tp.topic {
			*topics = append(*topics, kmsg.WriteTxnMarkersRequestMarkerTopic{Topic: u.tp.topic})
		}
		last := &(*topics)[len(*topics)-1]
		last.Partitions = append(last.Partitions, u.tp.partition)
	}
	return req
}

// markerCodes finds each marker's code in the answer: COORDINATOR_NOT_AVAILABLE where there is none.
func markerCodes(units []*markerUnit, resp *kmsg.WriteTxnMarkersResponse) []int16 {
	type place struct {
		producerID int64
		tp         topicPartition
	}
	said := map[place]int16{}
	for i := range resp.Markers {
		for j := range resp.Markers[i].Topics {
			t := &resp.Markers[i].Topics[j]
			for _, p := range t.Partitions {
				said[place{resp.Markers[i].ProducerID, topicPartition{t.Topic, p.Partition}}] = p.ErrorCode
			}
		}
	}
	codes := make([]int16, len(units))
	for i, u := range units {
		c, ok := said[place{u.job.e.Marker.ProducerID, u.tp}]
		if !ok {
			c = kerr.CoordinatorNotAvailable.Code
		}
		codes[i] = c
	}
	return codes
}

// done notes that a partition needs no marker any more.
func (m *markerSender) done(u *markerUnit) {
	m.open.Add(-1)
	if u.job.left.Add(-1) == 0 && u.job.ctx.Err() == nil {
		u.job.written()
	}
}

// again tries a marker again after a pause.
func (m *markerSender) again(u *markerUnit) {
	pause := u.pause
	u.pause = min(markerPauseGrow*pause, maxMarkerPause)
	time.AfterFunc(pause, func() { m.tasks.run(func() { m.route(u) }) })
}
