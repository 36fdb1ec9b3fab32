package broker

import (
	"context"
	"time"

	"quorumlog/protocol"
	"quorumlog/replication"
)

// arrivals are the batches of a large Produce request that are proposed while the rest of it is read:
// their replication goes on beside that, and the memory of those that are committed is free for those
// to come. Only the connection's reader uses them.
type arrivals struct {
	b       *Broker
	request *protocol.Request
	all     []*arrival // in the request's order
	waiting []*arrival // those whose memory is in use
	bytes   int        // of them
	room    []arrival  // for those to come
	stuck   bool       // one was not committed in time: no more pauses
}

// So many bytes of a request may wait for their commit before the next are read: the rest waits with the
// client, unless nothing is committed for so long a time.
const (
	arrivingBytes = 3 << 20
	arrivingPause = 100 * time.Millisecond
)

// arrivalsAtOnce is how many have their memory in one piece.
const arrivalsAtOnce = 16

// arrival is one of them.
type arrival struct {
	n int // of the partition, counted through the request
	proposal
	own replication.Append
	err error // why it was refused
}

// beginProduce decides which requests are. With acks=1 memory stays in use after the answer, and of a transaction the
// coordinator is asked first, about all partitions at once.
func (b *Broker) beginProduce(ctx context.Context, r *protocol.Request, acks int16, transactional bool) func(protocol.Arrived) {
	if acks != -1 || transactional {
		return nil
	}
	a := &arrivals{b: b, request: r}
	r.Begun = a
	return func(in protocol.Arrived) { a.add(ctx, in) }
}

// add proposes a batch, unless it is refused. What needs the whole request is left to it.
func (a *arrivals) add(ctx context.Context, in protocol.Arrived) {
	a.free()
	version := a.request.Version
	topic, err := topicOf(a.b.meta.Image(), in.Topic, in.TopicID, version >= 13)
	if err != nil || isInternal(topic.Name) {
		return
	}
	x := a.next()
	x.n, x.key.partition = in.N, in.Partition
	if x.err = a.b.prepare(ctx, produceTerms{version: version, acks: -1}, topic, in.Records, &x.proposal); x.err == nil {
		x.propose(-1, &x.own, nil)
		a.waiting = append(a.waiting, x)
		a.bytes += len(x.batch)
	}
	a.all = append(a.all, x)
	a.pause(ctx)
}

// next returns a zero arrival.
func (a *arrivals) next() *arrival {
	if len(a.room) == 0 {
		a.room = make([]arrival, arrivalsAtOnce)
	}
	x := &a.room[0]
	a.room = a.room[1:]
	return x
}

// free gives back the memory of what is committed. What has failed the group may use still.
func (a *arrivals) free() {
	still := a.waiting[:0]
	for _, x := range a.waiting {
		if !x.append.Known() {
			still = append(still, x)
			continue
		}
		a.bytes -= len(x.batch)
		if _, err := x.append.Result(); err == nil {
			a.request.FreeRecords(x.n)
			x.batch = nil
		}
	}
	clear(a.waiting[len(still):])
	a.waiting = still
}

// pause waits until less is waiting for its commit.
func (a *arrivals) pause(ctx context.Context) {
	var over <-chan time.Time
	for a.bytes > arrivingBytes && len(a.waiting) > 0 && !a.stuck {
		if over == nil {
			over = time.After(arrivingPause)
		}
		select {
		case <-a.waiting[0].append.Done():
			a.free()
		case <-over:
			a.stuck = true
		case <-ctx.Done():
			return
		}
	}
}

// at returns what became of the request's nth partition, nil where it is yet to be decided. It is
// called for one after the other.
func (a *arrivals) at(n int) *arrival {
	if a == nil || len(a.all) == 0 || a.all[0].n != n {
		return nil
	}
	x := a.all[0]
	a.all[0], a.all = nil, a.all[1:]
	return x
}
