package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/internal/freelist"
	"quorumlog/protocol"
)

// production is the answer to a Produce request and what it waits for. It is the connection's from the
// decision on until the answer is written, then it serves for another request, unless a group may still
// hold one of its batches' memory: see done.
type production struct {
	b          *Broker
	r          *protocol.Request
	resp       kmsg.ProduceResponse
	topics     []kmsg.ProduceResponseTopic
	partitions []kmsg.ProduceResponseTopicPartition // of all topics
	pending    []produced                           // of all partitions; they stay in their place
	bell       chan struct{}                        // rung when the outcome of one of them is known
	timer      *time.Timer                          // nil until somebody has had to wait

	wait    func(context.Context) // is await
	release func()                // is done
}

const (
	maxProductions  = 256 // that wait to be used again, of the whole process
	sparePartitions = 64  // for which their memory is kept
)

var productions = freelist.New[production](maxProductions)

// expect lays out the answer, with an entry for each of the request's partitions, and makes room for what
// is to be waited for.
func (b *Broker) expect(r *protocol.Request, req *kmsg.ProduceRequest) *production {
	x := productions.Get()
	if x == nil {
		x = &production{bell: make(chan struct{}, 1)}
		x.wait, x.release = x.await, x.done
	}
	x.b, x.r = b, r
	count := 0
	for i := range req.Topics {
		count += len(req.Topics[i].Partitions)
	}
	if n := len(req.Topics); n > cap(x.topics) {
		x.topics = make([]kmsg.ProduceResponseTopic, n)
	}
	if count > cap(x.pending) {
		x.partitions, x.pending = make([]kmsg.ProduceResponseTopicPartition, count), make([]produced, 0, count)
	}
	x.resp.Default()
	x.resp.SetVersion(req.GetVersion())
	x.resp.Topics = x.topics[:len(req.Topics)]
	entries := x.partitions[:count]
	for i := range req.Topics {
		from, to := &req.Topics[i], &x.resp.Topics[i]
		to.Default()
		to.Topic, to.TopicID = from.Topic, from.TopicID
		n := len(from.Partitions)
		to.Partitions, entries = entries[:n:n], entries[n:]
		for j := range from.Partitions {
			p := &to.Partitions[j]
			p.Default()
			p.Partition = from.Partitions[j].Partition
			p.BaseOffset, p.LogAppendTime, p.LogStartOffset = -1, -1, -1
		}
	}
	return x
}

// await completes the answer.
func (x *production) await(ctx context.Context) {
	req := x.r.Body.(*kmsg.ProduceRequest)
	timeout := time.Duration(max(req.TimeoutMillis, 0)) * time.Millisecond
	settled := x.awaitAppends(ctx, timeout, req.Acks)
	x.b.awaitReplicas(ctx, x.pending, timeout)
	if !settled || req.Acks == 1 {
		x.r.KeepFrame() // the group may still hold batches that lie in it
	}
	x.b.nameLeaders(x.r, &x.resp, x.pending)
}

// awaitAppends fills in the results, and reports whether all batches are settled. The memory of those
// that are committed is free at once: a large request takes long enough for others to use it.
func (x *production) awaitAppends(ctx context.Context, timeout time.Duration, acks int16) bool {
	settled, waiting, expired := true, false, false
	for i := range x.pending {
		p := &x.pending[i]
		if p.append == nil {
			continue
		}
		for !p.append.Known() && !expired {
			if !waiting {
				waiting = true
				x.startTimer(timeout)
			}
			select {
			case <-x.bell:
			case <-p.elsewhere():
			case <-x.timer.C:
				expired = true
			case <-ctx.Done():
				expired = true
			}
		}
		switch {
		case !p.append.Known():
			p.fail(kerr.RequestTimedOut)
			settled = false
		case !p.finish():
			settled = false
		case acks == -1:
			x.r.FreeRecords(i)
		}
	}
	if waiting {
		x.timer.Stop()
	}
	return settled
}

func (x *production) startTimer(timeout time.Duration) {
	if x.timer == nil {
		x.timer = time.NewTimer(timeout)
		return
	}
	x.timer.Reset(timeout)
}

// elsewhere is what to wait for where another's batch decides, which does not ring the request's bell;
// nil where it is the request's own.
func (p *produced) elsewhere() <-chan struct{} {
	if p.append == &p.own.Outcome {
		return nil
	}
	return p.append.Done()
}

// done gives the production back when its answer is written or given up. Nothing in it is anybody's then,
// but what a group has not let go of.
func (x *production) done() {
	free := cap(x.pending) <= sparePartitions
	for i := range x.pending {
		if !x.pending[i].reset() {
			free = false
		}
	}
	if !free {
		return
	}
	clear(x.topics[:len(x.resp.Topics)])
	clear(x.partitions[:len(x.pending)])
	x.b, x.r, x.resp, x.pending = nil, nil, kmsg.ProduceResponse{}, x.pending[:0]
	productions.Put(x)
}
