package peers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"quorumlog/internal/bufpool"
)

// link is the one connection to a peer. A reader and a writer goroutine own the two directions;
// whoever has something to send queues a frame.
type link struct {
	peers  *Peers
	peer   *peer
	conn   net.Conn
	info   Info            // the peer's
	window int             // bytes of requests that the peer lets wait for an answer
	ctx    context.Context // ends with the link
	end    context.CancelCauseFunc
	heard  atomic.Int64 // when the last bytes came, by the clock of peers

	in inbound // requests of the peer

	mu      sync.Mutex
	closed  bool
	urgent  []byte // frames that go first: heartbeats, names, short answers
	normal  []*frame
	names   map[string]uint64 // numbers of the groups, for this direction
	calls   map[uint64]*call
	batches map[uint64]*batch
	next    uint64        // last id of a call or batch
	unheard int           // bytes of requests without an answer
	queued  int           // bytes of answers in normal
	room    chan struct{} // closed when either of them shrinks; nil while nobody waits
	spare   []*call       // that nobody uses any more
	kept    int           // bytes of memory in spare

	wake chan struct{} // tells the writer
	done sync.WaitGroup
}

// frame is a request or a long answer that waits to be written. Its pieces may be memory that is
// valid only until the call ends: see settle.
type frame struct {
	pieces [][]byte
	size   int

	call *call // whose memory it is part of; nil for an answer

	// Guarded by the link's mu.
	stage   stage
	written chan struct{} // closed once the writer has let go; nil while nobody waits
	answer  bool          // counts in queued
}

type stage int

const (
	queued  stage = iota
	writing       // the writer alone may touch the pieces
	written
)

var (
	// ErrUnreachable is returned when there is no connection: the request was not sent.
	ErrUnreachable = errors.New("peer is not connected")
	// ErrInterrupted is returned when the connection was lost before the answer came: what was
	// asked for may have been done.
	ErrInterrupted = errors.New("connection to peer was lost")

	errSilent   = errors.New("peer is silent")
	errReplaced = errors.New("replaced by a newer connection")
	errClosed   = errors.New("closed")
)

const (
	// maxNames bounds the numbers that groups can get on one link, maxName a group's name.
	maxNames = 1 << 20
	maxName  = 1024
	// writeBytes is how much the writer takes at once, beyond the first frame.
	writeBytes = 1 << 20
	// small is the size of a request for which there is room when there is none for others.
	small = 8 << 10
	// spareBytes is how much memory the queue of short frames may keep.
	spareBytes = 256 << 10
	// slowest is the time that the peer may take for a byte, on top of Timing.Write: 1 MB/s.
	slowest = time.Microsecond
)

func (p *Peers) newLink(peer *peer, conn net.Conn, info Info, window uint64) *link {
	l := &link{
		peers: p, peer: peer, conn: conn, info: info, window: int(min(window, 1<<30)),
		names: map[string]uint64{}, calls: map[uint64]*call{}, batches: map[uint64]*batch{}, wake: make(chan struct{}, 1),
	}
	l.ctx, l.end = context.WithCancelCause(p.ctx)
	l.in.link = l
	l.in.slabs = bufpool.NewSlabs(2 * p.limits.Window / bufpool.SlabSize)
	l.heard.Store(p.clock())
	return l
}

// run starts the link's goroutines; whoever installs it calls this.
func (l *link) run() {
	l.conn.SetDeadline(time.Time{})
	l.done.Go(l.write)
	l.done.Go(l.read)
	l.done.Go(l.pushState)
	go func() { // install has counted it
		defer l.peers.running.Done()
		<-l.ctx.Done()
		l.close(context.Cause(l.ctx))
		l.done.Wait()
	}()
}

// close ends the link; all that waits for it fails.
func (l *link) close(cause error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	calls, batches := l.calls, l.batches
	l.calls, l.batches = nil, nil
	l.shrunk()
	l.mu.Unlock()
	l.end(cause)
	l.conn.Close()
	for _, c := range calls {
		c.answer <- answer{err: ErrInterrupted}
	}
	for _, b := range batches {
		b.fail(ErrInterrupted)
	}
	l.peer.lost(l, cause)
}

// shrunk lets those who wait for room look again; the caller holds mu.
func (l *link) shrunk() {
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

// await waits until ready, which is called with mu held, says so. It returns with mu held, or
// an error: context.DeadlineExceeded where late comes first.
func (l *link) await(ctx context.Context, late <-chan time.Time, ready func() bool) error {
	l.mu.Lock()
	for {
		if l.closed {
			l.mu.Unlock()
			return ErrUnreachable
		}
		if ready() {
			return nil
		}
		if l.room == nil {
			l.room = make(chan struct{})
		}
		room := l.room
		l.mu.Unlock()
		select {
		case <-room:
			l.mu.Lock()
		case <-late:
			return context.DeadlineExceeded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reserve announces a request of some size: it waits until the peer has room for it. A request
// that is larger than all the room goes alone; small ones, such as votes, have a quarter more.
func (l *link) reserve(ctx context.Context, size int, deadline time.Time) (*call, error) {
	room := l.window
	if size <= small {
		room += l.window / 4
	}
	c := l.newCall(deadline)
	if err := l.await(ctx, c.late.C, func() bool { return l.unheard == 0 || l.unheard+size <= room }); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	l.next++
	c.id, c.size = l.next, size
	l.calls[c.id] = c
	l.unheard += size
	return c, nil
}

// number returns the number that stands for a group's name, and tells the peer of a new one.
func (l *link) number(group string) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.numberLocked(group)
}

func (l *link) numberLocked(group string) (uint64, error) {
	if n, ok := l.names[group]; ok {
		return n, nil
	}
	if len(group) > maxName {
		return 0, fmt.Errorf("group name of %d bytes: %w", len(group), errTooLarge)
	}
	n := uint64(len(l.names))
	if n >= maxNames { // a new link begins to count anew
		go l.close(errors.New("all numbers for groups are used"))
		return 0, ErrInterrupted
	}
	l.names[group] = n
	l.pushShortLocked(append(newFrame(kindName, len(group)), group...))
	return n, nil
}

// push queues a frame; false when the link is closed.
func (l *link) push(f *frame) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pushLocked(f)
}

func (l *link) pushLocked(f *frame) bool {
	if l.closed {
		return false
	}
	for _, p := range f.pieces {
		f.size += len(p)
	}
	l.normal = append(l.normal, f)
	l.wakeWriter()
	return true
}

func (l *link) wakeWriter() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// pushShort queues a short frame, which goes before those of push. It is copied.
func (l *link) pushShort(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pushShortLocked(b)
}

func (l *link) pushShortLocked(b []byte) {
	if l.closed {
		return
	}
	l.urgent = append(l.urgent, seal(b, 0)...)
	l.wakeWriter()
}

// pushAnswer queues an answer that may be large, when there is room for it.
func (l *link) pushAnswer(b []byte) {
	err := l.await(l.ctx, nil, func() bool { return l.queued == 0 || l.queued+len(b) <= l.window })
	if err != nil {
		return
	}
	defer l.mu.Unlock()
	l.queued += len(b)
	l.pushLocked(&frame{pieces: [][]byte{seal(b, 0)}, answer: true})
}

// settle returns when the writer no longer needs the frame's memory.
func (l *link) settle(f *frame) {
	l.mu.Lock()
	switch f.stage {
	case queued:
		if !l.closed {
			// The peer must get whole frames, but this one it need not get at all.
			f.pieces, f.size = nil, 0
		}
		l.mu.Unlock()
		return
	case written:
		l.mu.Unlock()
		return
	case writing:
	}
	if f.written == nil {
		f.written = make(chan struct{})
	}
	done := f.written
	l.mu.Unlock()
	<-done
}

// take moves frames from the queues to the writer. The memory of the short ones that it wrote
// last takes in the next.
func (l *link) take(short []byte, batch []*frame) ([]byte, []*frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil
	}
	if cap(short) > spareBytes {
		short = nil
	}
	short, l.urgent = l.urgent, short[:0]
	size, n := len(short), 0
	for _, f := range l.normal {
		if n > 0 && size+f.size > writeBytes {
			break
		}
		batch, size = append(batch, f), size+f.size
		if f.answer {
			l.queued -= f.size
			l.shrunk()
		}
		n++
	}
	rest := copy(l.normal, l.normal[n:])
	clear(l.normal[rest:])
	l.normal = l.normal[:rest]
	for _, f := range batch {
		f.stage = writing
	}
	return short, batch
}

// write is the writer goroutine.
func (l *link) write() {
	var short []byte
	var batch []*frame
	var space, pieces net.Buffers // pieces are those of space that are still to be written
	for {
		short, batch = l.take(short, batch[:0])
		if len(short) == 0 && len(batch) == 0 {
			select {
			case <-l.wake:
				continue
			case <-l.ctx.Done():
				return
			}
		}
		space = space[:0]
		size := len(short)
		if size > 0 {
			space = append(space, short)
		}
		for _, f := range batch {
			space, size = append(space, f.pieces...), size+f.size
		}
		l.conn.SetWriteDeadline(time.Now().Add(l.peers.timing.Write + time.Duration(size)*slowest))
		pieces = space
		_, err := pieces.WriteTo(l.conn)
		clear(space)
		l.wrote(batch)
		if err != nil {
			l.close(err)
			return
		}
	}
}

func (l *link) wrote(batch []*frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, f := range batch {
		clear(f.pieces)
		f.stage, f.pieces, f.size = written, f.pieces[:0], 0
		if f.written != nil {
			close(f.written)
		}
		if f.call != nil {
			l.recycleLocked(f.call)
		}
		batch[i] = nil
	}
}

// claim returns the call that waits for an answer, nil for none, and gives back its room.
func (l *link) claim(id uint64) *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.calls[id]
	if c != nil {
		delete(l.calls, id)
		l.unheard -= c.size
		l.shrunk()
	}
	return c
}

// exchange sends the request of a call and waits for the answer, which is the call's own memory
// where it is one of Raft's: see release. The caller's memory is its own again afterwards. A call
// that is given up keeps its room until the peer has answered: the request is there.
func (l *link) exchange(ctx context.Context, c *call) ([]byte, error) {
	f := &c.frame
	if !l.push(f) {
		return nil, ErrInterrupted
	}
	var err error
	select {
	case a := <-c.answer:
		if a.err != nil {
			l.settle(f)
		}
		return a.body, a.err
	case <-c.late.C:
		err = context.DeadlineExceeded
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	unsent := f.stage == queued && !l.closed
	if unsent {
		f.pieces, f.size = nil, 0
	}
	l.mu.Unlock()
	if unsent {
		l.claim(c.id)
	} else {
		l.settle(f)
	}
	return nil, err
}

// Read reads from the connection; every byte is a sign of life.
func (l *link) Read(b []byte) (int, error) {
	n, err := l.conn.Read(b)
	if n > 0 {
		l.heard.Store(l.peers.clock())
	}
	return n, err
}

// read is the reader goroutine. Silence ends the link by way of the clock: see watch.
func (l *link) read() {
	r := bufio.NewReaderSize(l, 16<<10)
	var head [frameHead]byte
	var scratch []byte
	for {
		kind, size, err := readHead(r, &head, l.peers.limits.Frame)
		if err == nil {
			scratch, err = l.readFrame(r, kind, size, scratch)
		}
		if err != nil {
			l.close(err)
			return
		}
	}
}
