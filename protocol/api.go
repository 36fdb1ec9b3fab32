package protocol

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// API is one Kafka API in the versions served, and who answers it.
type API struct {
	Key      int16
	Min, Max int16 // versions served

	// AdvertiseZero makes ApiVersions name version 0 as the lowest though Min is the lowest
	// served. Produce needs it: librdkafka stops compressing where 0 is missing (KAFKA-18659).
	AdvertiseZero bool

	// MaxBytes is the largest request of this API. 0 means the server's limit for Produce,
	// and 8 MiB for every other API.
	MaxBytes int

	// Handle decides the request. It runs on the connection's reader goroutine, one request
	// after the other in the order of arrival, so it must not wait for anything slow: what
	// has to be waited for goes into Answer.Wait. ctx ends when the connection does.
	Handle func(ctx context.Context, r *Request) Answer

	// Begin, where it is not nil, is for Produce alone: a large request that begins to arrive may be
	// decided piece by piece. What it returns, unless that is nil, gets the records of partitions as they
	// arrive, but for small ones, on the reader goroutine. The request may turn out to be malformed,
	// or never arrive whole: then Handle is not called, and the records stay what they are. acks and
	// whether there is a transactional id are the request's; of r there is no Body and no ClientID yet.
	Begin func(ctx context.Context, r *Request, acks int16, transactional bool) func(Arrived)
}

// Arrived are the records of one partition of a Produce request that is still being read.
type Arrived struct {
	N         int    // of the partition, counted through all of the request
	Topic     string // or, from version 13 on, TopicID
	TopicID   [16]byte
	Partition int32
	Records   []byte // as in the decoded request; see FreeRecords
}

// Answer is what a handler decided.
type Answer struct {
	Response kmsg.Response // nil: the request gets no response at all, as Produce with acks=0

	// Wait, where it is not nil, runs on the connection's writer goroutine when all earlier
	// requests have been answered, and fills Response before it returns. It returns early
	// when ctx ends, which is when the peer is gone; nobody reads the response then. It is
	// not run at all for a connection that ended before.
	Wait func(ctx context.Context)

	// Release, where it is not nil, is called once, after the response was written or
	// given up.
	Release func()

	Close bool // close the connection after the response, or instead of it
}

// Request is one request of a connection.
type Request struct {
	Conn          *Conn
	Key, Version  int16
	CorrelationID int32
	ClientID      *string // nil where the client sent null
	Body          kmsg.Request
	Size          int // bytes of the frame, without its length prefix
	Received      time.Time
	Begun         any // for Begin, to leave something to Handle

	frame   *frame
	memory  int64 // bytes the decoded request holds
	charged bool  // memory is held from Server.decoded, else from Conn.smallMem
	answer  Answer
	turn    *turn // nil where it was decided before the writer comes to it
	told    bool  // Begin's function has been called
	heavy   bool  // it has one of Server.heavy's places

	bytes   frame               // memory of frame
	produce kmsg.ProduceRequest // memory of Body, where that is one
}

// Name returns the API's name.
func (r *Request) Name() string { return kmsg.NameForKey(r.Key) }

// KeepFrame tells that byte slices of Body stay in use after the response was written. Without
// it the memory of a Produce request's records serves the next request; strings, and slices in
// requests of every other API, may always be kept. Call it in Handle, Wait or Release. A request
// whose Wait was not called or did not return, as its connection had ended, keeps its frame. Where
// the frame of a Produce request was not kept, Request and Body serve others once Release has returned.
func (r *Request) KeepFrame() {
	if r.frame != nil {
		r.frame.kept.Store(true)
	}
}

// Serve registers fn for versions min to max of the API whose request type it takes.
// fn fills the response; an error is logged and closes the connection.
func Serve[Q kmsg.Request, S kmsg.Response](min, max int16, fn func(context.Context, Q, S) error) API {
	return ServeRequest(min, max, func(ctx context.Context, _ *Request, q Q, s S) error { return fn(ctx, q, s) })
}

// ServeRequest is Serve for a handler that also needs the request's connection or header.
func ServeRequest[Q kmsg.Request, S kmsg.Response](min, max int16, fn func(context.Context, *Request, Q, S) error) API {
	return ServeWait(min, max, func(ctx context.Context, r *Request, q Q, s S) (func(context.Context), error) {
		return nil, fn(ctx, r, q, s)
	})
}

// ServeWait is ServeRequest for a handler that answers in two stages: what it returns becomes
// Answer.Wait, which completes s.
func ServeWait[Q kmsg.Request, S kmsg.Response](min, max int16, fn func(context.Context, *Request, Q, S) (func(context.Context), error)) API {
	var q Q
	return API{Key: q.Key(), Min: min, Max: max, Handle: func(ctx context.Context, r *Request) Answer {
		s := r.Body.ResponseKind().(S)
		wait, err := fn(ctx, r, r.Body.(Q), s)
		if err != nil {
			r.Conn.handlerFailed(r, err)
			return Answer{Close: true}
		}
		return Answer{Response: s, Wait: wait}
	}}
}
