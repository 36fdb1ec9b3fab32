package protocol

import "github.com/twmb/franz-go/pkg/kmsg"

// The memory of Produce requests, which are most of those under load, serves again: the Request with its
// frame's description and its decoded form. It is the reader's until the request is decided, then the
// writer's, which gives it back when the request is finished. One whose frame was kept is left to the
// garbage collector with it, since somebody has not finished with the request.
const (
	maxSpare    = 1024 // requests, of all connections
	spareTopics = 8    // of the decoded form, for which its memory is kept
)

func (c *Conn) newRequest() *Request {
	if r := c.srv.spare.Get(); r != nil {
		return r
	}
	return &Request{}
}

// newBody returns what the request is to be decoded into.
func (r *Request) newBody() kmsg.Request {
	if r.Key == int16(kmsg.Produce) {
		return &r.produce
	}
	return kmsg.RequestForKey(r.Key)
}

// recycle gives back a request that is finished and freed. Nothing of it is left, so that who still looks
// at it finds nothing.
func (c *Conn) recycle(r *Request) {
	if r.Key != int16(kmsg.Produce) || r.bytes.kept.Load() {
		return
	}
	topics := r.produce.Topics[:cap(r.produce.Topics)]
	clear(topics)
	if len(topics) > spareTopics {
		topics = nil
	}
	*r = Request{produce: kmsg.ProduceRequest{Topics: topics[:0]}}
	c.srv.spare.Put(r)
}
