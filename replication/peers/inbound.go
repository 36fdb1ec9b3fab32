package peers

import (
	"bufio"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"

	"quorumlog/internal/bufpool"
)

// inbound runs the requests of one peer: those of a group one at a time and in order, groups side
// by side on a bounded number of workers, which exist while there is work.
type inbound struct {
	link  *link
	lanes []*lane       // by the number that the peer has given to a group; the reader's own
	slabs bufpool.Slabs // for requests; the reader's own

	mu      sync.Mutex
	ready   laneQueue
	workers int
	idle    []*worker // that have ended, at most maxIdle
	calls   int       // of services
	bytes   int       // of requests and calls that have not been answered
	beats   int       // batches of heartbeats
}

// lane is one group's queue; the mutex of inbound guards it.
type lane struct {
	group     string
	queue     []incoming
	scheduled bool // in ready, or with a worker
	next      *lane
}

// laneQueue is linked by the lanes' next.
type laneQueue struct{ first, last *lane }

func (q *laneQueue) push(l *lane) {
	if q.first == nil {
		q.first = l
	} else {
		q.last.next = l
	}
	q.last = l
}

// pop takes the first lane off, nil where there is none.
func (q *laneQueue) pop() *lane {
	l := q.first
	if l != nil {
		q.first, l.next = l.next, nil
	}
	return l
}

// incoming is a request that waits for its group.
type incoming struct {
	id      uint64         // 0: nobody waits for an answer
	message []byte         // as it came
	memory  bufpool.Buffer // of which message is a part
	request any            // or decoded
}

const (
	maxLane    = 8    // requests of one group that wait: Raft sends one after the other
	maxWorkers = 1024 // that wait for groups
	maxIdle    = 64   // that are kept
	maxCalls   = 256  // of services that run
	maxBeats   = 4    // batches of heartbeats that are being answered
)

// readFrame reads a frame's body and acts on it. scratch is for bodies that are done with when
// it returns.
func (l *link) readFrame(r *bufio.Reader, kind byte, size int, scratch []byte) ([]byte, error) {
	if kind == kindRequest && size <= firstRead {
		memory := l.in.slabs.Get(size)
		if _, err := io.ReadFull(r, memory.Bytes); err != nil {
			return scratch, err
		}
		return scratch, l.in.request(memory)
	}
	buf := scratch
	switch kind {
	case kindHeartbeats:
		buf = getBuffer(size)
	case kindRequest, kindCall, kindAnswer:
		buf = nil
	}
	body, err := readBody(r, buf, size)
	if err != nil {
		return scratch, err
	}
	switch kind {
	case kindName:
		err = l.in.name(body)
	case kindRequest:
		return scratch, l.in.request(bufpool.Buffer{Bytes: body})
	case kindResponse:
		err = l.response(body)
	case kindAnswer:
		return scratch, l.answer(body)
	case kindHeartbeats:
		return scratch, l.in.heartbeats(body)
	case kindAlive:
		err = l.alive(body)
	case kindCommits:
		err = l.in.commits(body)
	case kindNode:
		err = l.nodeBeat(body)
	case kindCall:
		return scratch, l.in.call(body)
	default:
		err = fmt.Errorf("%w: kind %d", errFormat, kind)
	}
	if cap(body) > 1<<20 {
		return nil, err // not worth keeping
	}
	return body[:0], err
}

// response hands a copy of an answer to one of Raft's requests to the call that waits for it.
func (l *link) response(body []byte) error {
	d := decoder{b: body}
	id := d.uint()
	if d.bad {
		return errFormat
	}
	if c := l.claim(id); c != nil {
		c.short = append(c.short[:0], d.rest()...)
		c.answer <- answer{body: c.short}
	}
	return nil
}

// answer hands the answer of a service to the call that waits for it.
func (l *link) answer(body []byte) error {
	d := decoder{b: body}
	id := d.uint()
	if d.bad {
		return errFormat
	}
	if c := l.claim(id); c != nil {
		c.answer <- answer{body: d.rest()}
	}
	return nil
}

// name gives the next number to a group.
func (in *inbound) name(body []byte) error {
	if len(body) > maxName || len(in.lanes) >= maxNames {
		return errTooLarge
	}
	in.lanes = append(in.lanes, &lane{group: string(body)})
	return nil
}

func (in *inbound) lane(number uint64) *lane {
	if number >= uint64(len(in.lanes)) {
		return nil
	}
	return in.lanes[number]
}

func (in *inbound) request(memory bufpool.Buffer) error {
	body := memory.Bytes
	d := decoder{b: body}
	id, to := d.uint(), in.lane(d.uint())
	if d.bad || to == nil || id == 0 {
		return errFormat
	}
	if !in.admit(len(body)) {
		return errWindow
	}
	if !in.enqueue(to, incoming{id: id, message: d.rest(), memory: memory}) {
		in.free(len(body))
		memory.Free()
		in.link.pushShort(appendFailure(appendUint(newFrame(kindResponse, 64), id), errLaneFull))
	}
	return nil
}

var errWindow = fmt.Errorf("%w: more than may wait for an answer", errTooLarge)

// admit counts the memory of a request. A peer that keeps to the window stays far below twice as
// much, or sends one large request alone.
func (in *inbound) admit(size int) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.bytes > 2*in.link.peers.limits.Window {
		return false
	}
	in.bytes += size
	return true
}

func (in *inbound) free(size int) {
	in.mu.Lock()
	in.bytes -= size
	in.mu.Unlock()
}

var errLaneFull = &Error{Code: CodeBusy, Text: "the group is behind with its requests"}

// enqueue adds a request to a group's queue, unless that is full.
func (in *inbound) enqueue(to *lane, r incoming) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(to.queue) >= maxLane {
		return false
	}
	to.queue = append(to.queue, r)
	if to.scheduled {
		return true
	}
	to.scheduled = true
	in.ready.push(to)
	if in.workers < maxWorkers {
		in.workers++
		in.link.done.Add(1)
		go in.worker().run()
	}
	return true
}

// worker serves requests, one at a time. Its goroutine ends when there are none; its memory is for
// the next one's.
type worker struct {
	in     *inbound
	run    func()
	memory *entryMemory // of the request that it serves
	answer []byte
}

// worker returns one that is idle, or a new one; the caller holds mu.
func (in *inbound) worker() *worker {
	if last := len(in.idle) - 1; last >= 0 {
		w := in.idle[last]
		in.idle = in.idle[:last]
		return w
	}
	w := &worker{in: in, memory: &entryMemory{}}
	w.run = w.work
	return w
}

// work is a worker's goroutine.
func (w *worker) work() {
	defer w.in.link.done.Done()
	var served *lane
	for {
		var r incoming
		served, r = w.in.next(w, served)
		if served == nil {
			return
		}
		if w.in.link.ctx.Err() == nil {
			w.serve(served.group, r)
		}
	}
}

// next returns a lane that a worker is done with to the others, and takes the first request of another.
// Without one the worker ends.
func (in *inbound) next(w *worker, done *lane) (*lane, incoming) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if done != nil {
		if done.scheduled = len(done.queue) > 0; done.scheduled {
			in.ready.push(done)
		}
	}
	l := in.ready.pop()
	if l == nil {
		in.workers--
		if len(in.idle) < maxIdle {
			in.idle = append(in.idle, w)
		}
		return nil, incoming{}
	}
	r := l.queue[0]
	n := copy(l.queue, l.queue[1:])
	l.queue[n] = incoming{}
	l.queue = l.queue[:n]
	return l, r
}

// serve delivers a request and answers it.
func (w *worker) serve(group string, r incoming) {
	l := w.in.link
	request := r.request
	if request == nil {
		var err error
		if request, err = decodeRequest(r.message, w.memory); err != nil {
			l.close(err)
			return
		}
	}
	defer w.in.free(len(r.memory.Bytes))
	response, err := l.peers.config.Transport.Deliver(l.ctx, group, request, l.peers.timing.Request)
	if r.id == 0 {
		return
	}
	b := appendUint(beginFrame(w.answer, kindResponse), r.id)
	if err == nil {
		b, err = appendResponse(append(b, 0), response)
	}
	if err != nil {
		// The group may still read the request: its memory is left alone.
		w.memory = &entryMemory{}
		r.memory.Leave()
		b = appendFailure(appendUint(beginFrame(w.answer, kindResponse), r.id), err)
	} else {
		w.memory.forget()
		r.memory.Free()
	}
	w.answer = b
	l.pushShort(b)
}

// commits turns commit indexes into the requests that they stand for: an AppendEntries without
// entries, right after the last entry that this node has acknowledged in the leader's term.
func (in *inbound) commits(body []byte) error {
	d := decoder{b: body}
	header := d.header()
	header.ID, header.Addr = append([]byte(nil), header.ID...), append([]byte(nil), header.Addr...)
	requests := make([]raft.AppendEntriesRequest, d.count(5, maxNames))
	for i := range requests {
		r, to := &requests[i], in.lane(d.uint())
		*r = raft.AppendEntriesRequest{RPCHeader: header, Term: d.uint(), PrevLogEntry: d.uint(), PrevLogTerm: d.uint(), LeaderCommitIndex: d.uint()}
		if d.bad || to == nil || r.LeaderCommitIndex > r.PrevLogEntry {
			return errFormat
		}
		in.enqueue(to, incoming{request: r})
	}
	return d.end()
}
