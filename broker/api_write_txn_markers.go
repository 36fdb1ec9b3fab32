package broker

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
	"quorumlog/record"
	"quorumlog/replication"
)

// WriteTxnMarkers (key 27), versions 1–2 (KIP-98, KIP-1228): a transaction coordinator ends
// transactions in the partitions that this node leads.
//
// Decided in order: the markers are proposed, in all partitions at once. Waited for: their commit.
var _ = route(func(b *Broker) protocol.API {
	return protocol.ServeWait(1, 2, func(ctx context.Context, _ *protocol.Request, req *kmsg.WriteTxnMarkersRequest, resp *kmsg.WriteTxnMarkersResponse) (func(context.Context), error) {
		return b.proposeMarkers(ctx, req, resp), nil
	})
})

// writeTxnMarkers is the API for this node's own coordinators.
func (b *Broker) writeTxnMarkers(ctx context.Context, req *kmsg.WriteTxnMarkersRequest, resp *kmsg.WriteTxnMarkersResponse) error {
	b.proposeMarkers(ctx, req, resp)(ctx)
	return nil
}

// writing is one marker's place in an answer.
type writing struct {
	out     *kmsg.WriteTxnMarkersResponseMarkerTopicPartition
	marker  record.Marker
	version int16 // of the transaction
	append  *replication.Append
	done    <-chan struct{} // closed when append is, and whoever else needs to know has been told
	err     error
}

// Bounds on one request: the partitions worked on at a time, and the wait for a commit.
const (
	markerWorkers = 64
	markerTimeout = 30 * time.Second
)

// proposeMarkers proposes all markers of a request and returns how to wait for them. Those of one
// partition keep their order.
func (b *Broker) proposeMarkers(ctx context.Context, req *kmsg.WriteTxnMarkersRequest, resp *kmsg.WriteTxnMarkersResponse) (wait func(context.Context)) {
	by := expectMarkers(req, resp)
	var working sync.WaitGroup
	places := make(chan struct{}, markerWorkers)
	for tp, ws := range by {
		places <- struct{}{}
		working.Go(func() {
			b.proposeFor(ctx, tp, ws)
			<-places
		})
	}
	working.Wait()
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, markerTimeout)
		defer cancel()
		for _, ws := range by {
			for _, w := range ws {
				w.out.ErrorCode = code(w.await(ctx))
			}
		}
	}
}

// expectMarkers lays out the answer, and returns what to write by partition.
func expectMarkers(req *kmsg.WriteTxnMarkersRequest, resp *kmsg.WriteTxnMarkersResponse) map[topicPartition][]*writing {
	by := map[topicPartition][]*writing{}
	resp.Markers = make([]kmsg.WriteTxnMarkersResponseMarker, len(req.Markers))
	for i := range req.Markers {
		from, to := &req.Markers[i], &resp.Markers[i]
		to.ProducerID = from.ProducerID
		to.Topics = make([]kmsg.WriteTxnMarkersResponseMarkerTopic, len(from.Topics))
		m := record.Marker{
			ProducerID: from.ProducerID, ProducerEpoch: from.ProducerEpoch,
			CoordinatorEpoch: from.CoordinatorEpoch, Commit: from.Committed,
		}
		for j := range from.Topics {
			t, out := &from.Topics[j], &to.Topics[j]
			out.Topic = t.Topic
			out.Partitions = make([]kmsg.WriteTxnMarkersResponseMarkerTopicPartition, len(t.Partitions))
			for k, id := range t.Partitions {
				out.Partitions[k].Partition = id
				tp := topicPartition{t.Topic, id}
				by[tp] = append(by[tp], &writing{out: &out.Partitions[k], marker: m, version: int16(from.TransactionVersion)})
			}
		}
	}
	return by
}

func (b *Broker) proposeFor(ctx context.Context, tp topicPartition, ws []*writing) {
	p, err := b.led(ctx, tp.topic, tp.partition)
	for _, w := range ws {
		switch {
		case err != nil:
			w.err = err
		case ctx.Err() != nil: // the coordinator sends it again; by now it may be somebody else's transaction
			w.err = ctx.Err()
		case w.marker.ProducerID < 0 || w.marker.ProducerEpoch < 0:
			w.err = kerr.InvalidRequest
		default:
			w.append = p.EndTransaction(w.marker, w.version)
			w.done = w.append.Done()
			if tp.topic == offsetsTopic {
				w.done = b.tellGroups(tp.partition, w)
			}
		}
	}
}

// tellGroups tells the group coordinator of a marker once it is committed, whether the one who sent
// it still waits or not.
func (b *Broker) tellGroups(partition int32, w *writing) <-chan struct{} {
	told := make(chan struct{})
	go func() {
		defer close(told)
		<-w.append.Done()
		if _, err := w.append.Result(); err == nil {
			b.offsetsTransactionEnded(partition, w.marker)
		}
	}()
	return told
}

// await returns once the marker is committed, or why it is not.
func (w *writing) await(ctx context.Context) error {
	if w.append == nil {
		return w.err
	}
	select {
	case <-w.done:
		_, err := w.append.Result()
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
