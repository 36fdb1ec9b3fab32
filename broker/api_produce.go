package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
	"quorumlog/record"
	"quorumlog/replication"
)

// Produce (key 0), versions 3–13; 0–2 are advertised because librdkafka stops compressing
// without them (KAFKA-18659), and are refused as Kafka refuses them: their format is gone.
//
// Decided in order: every batch is checked, of transactions that begin here the coordinator is asked
// whether they may (KIP-890), and the batches are proposed. Waited for: with acks=all its commit, and
// where min.insync.replicas is more than the majority that a commit needs, so many replicas; with
// acks=1 the leader's disk.
var _ = route(func(b *Broker) protocol.API {
	return protocol.API{Key: 0, Min: 3, Max: 13, AdvertiseZero: true, Handle: b.produce, Begin: b.beginProduce}
})

// produced is one partition's place in an answer, waiting for its batch.
type produced struct {
	proposal
	out *kmsg.ProduceResponseTopicPartition
	own replication.Append // the memory of append, but for transactions and for what was proposed before
}

// proposal is a batch on its way.
type proposal struct {
	append *replication.Outcome // nil where there is none: the batch was refused
	key    replicaKey
	topic  string
	x      *replica
	p      *replication.Partition
	batch  record.Batch
	guard  *replication.Guard // of a batch of a transaction, nil for any other
	need   int                // replicas in sync that have to hold the batch after its commit, 0 for no more than that needs
}

func (b *Broker) produce(ctx context.Context, r *protocol.Request) protocol.Answer {
	req := r.Body.(*kmsg.ProduceRequest)
	x := b.expect(r, req)
	begun, _ := r.Begun.(*arrivals)
	im := b.meta.Image()
	for i := range req.Topics {
		t := &req.Topics[i]
		topic, err := topicOf(im, t.Topic, t.TopicID, req.Version >= 13)
		for j := range t.Partitions {
			n := len(x.pending)
			x.pending = x.pending[:n+1]
			p := &x.pending[n]
			p.out, p.key.partition = &x.resp.Topics[i].Partitions[j], t.Partitions[j].Partition
			perr := err
			if a := begun.at(n); a != nil {
				p.proposal, perr = a.proposal, a.err
			} else if perr == nil {
				perr = b.prepare(ctx, termsOf(r), topic, t.Partitions[j].Records, &p.proposal)
			}
			if perr != nil {
				p.fail(perr)
			}
		}
	}
	b.verify(ctx, req, x.pending)
	for i := range x.pending {
		x.pending[i].propose(req.Acks, &x.pending[i].own, x.bell)
	}
	if req.Acks == 0 {
		return unacknowledged(r, x.pending)
	}
	return protocol.Answer{Response: &x.resp, Wait: x.wait, Release: x.release}
}

// reset reports whether p may be used again.
func (p *produced) reset() bool {
	p.out, p.proposal = nil, proposal{}
	return p.own.Reset()
}

// nameLeaders tells a client that came to the wrong broker where to go (KIP-951).
func (b *Broker) nameLeaders(r *protocol.Request, resp *kmsg.ProduceResponse, pending []produced) {
	h := leaderHints{b: b, conn: r.Conn}
	for i := range pending {
		if p := &pending[i]; p.out.ErrorCode == kerr.NotLeaderForPartition.Code {
			p.out.CurrentLeader.LeaderID, p.out.CurrentLeader.LeaderEpoch = h.leaderOf(p.key)
		}
	}
	resp.Brokers = h.endpoints()
}

// produceTerms are a request's, for all of its batches.
type produceTerms struct {
	version, acks int16
	transactional bool // it has a transactional id
	admin         bool // it may write to internal topics
}

func termsOf(r *protocol.Request) produceTerms {
	req := r.Body.(*kmsg.ProduceRequest)
	return produceTerms{version: req.Version, acks: req.Acks, transactional: req.TransactionID != nil, admin: isAdminClient(r.ClientID)}
}

// prepare checks one batch for out.key's partition of a topic.
func (b *Broker) prepare(ctx context.Context, req produceTerms, t *cluster.Topic, records []byte, out *proposal) error {
	out.key.topic, out.topic = t.ID, t.Name
	if req.acks < -1 || req.acks > 1 {
		return kerr.InvalidRequiredAcks
	}
	if isInternal(t.Name) && !req.admin {
		return refuse(kerr.InvalidTopicException, fmt.Sprintf("The topic '%s' is internal: clients may not produce to it.", t.Name))
	}
	if b.disk.full() {
		return kerr.KafkaStorageError
	}
	x, err := b.replica(t, out.key.partition)
	if err != nil {
		return err
	}
	batch, err := b.admit(records, x, req.version)
	if err != nil {
		return err
	}
	if batch.IsTransactional() && !req.transactional {
		return kerr.TransactionalIDAuthorizationFailed
	}
	p, err := b.replicas.ready(ctx, x)
	if err != nil {
		return err
	}
	if req.acks == -1 {
		least := x.settings().MinInSyncReplicas
		if b.inSync(x) < least {
			return kerr.NotEnoughReplicas
		}
		if least > len(x.placement().Replicas)/2+1 {
			out.need = least
		}
	}
	out.x, out.p, out.batch = x, p, batch
	if batch.IsTransactional() {
		out.guard = p.Guard(batch, addsPartitions(req.version))
	}
	return nil
}

// propose hands a batch that was found good to its partition. own is memory that must not move; the bell
// is rung when its outcome is known, nil for none.
func (p *proposal) propose(acks int16, own *replication.Append, bell chan<- struct{}) {
	if p.batch == nil || p.append != nil {
		return
	}
	p.x.traffic.in(p.batch)
	switch {
	case acks == 1 && p.guard != nil:
		p.append = p.guard.AppendWritten().Written()
	case acks == 1:
		p.append = p.p.AppendWritten(p.batch).Written()
	case p.guard != nil:
		p.append = &p.guard.Append().Outcome
	default:
		p.append = &p.p.AppendAs(own, p.batch, bell).Outcome
	}
}

// maxDecompressed bounds what a client's batch may unpack to, bytes.
const maxDecompressed = 128 << 20

// admit validates what a client sent for a partition and gives it the topic's time and codec.
// Timestamps are judged by this node's clock.
func (b *Broker) admit(records []byte, x *replica, version int16) (record.Batch, error) {
	batch, rest, err := record.Split(records)
	switch {
	case errors.Is(err, record.ErrShort):
		return nil, refuse(kerr.InvalidRecord, fmt.Sprintf("Produce requests with version %d must have at least one record batch per partition", version))
	case err != nil:
		return nil, err
	case len(rest) > 0:
		return nil, refuse(kerr.InvalidRecord, fmt.Sprintf("Produce requests with version %d are only allowed to contain exactly one record batch per partition", version))
	}
	c, now := x.settings(), b.now().UnixMilli()
	limits := record.Limits{
		MaxBatchBytes: c.MaxMessageBytes, MaxDecompressed: maxDecompressed,
		RequireKey: c.Cleanup.Compacts(), NoZstd: version < 7,
	}
	if !c.LogAppendTime {
		limits.MinTimestamp, limits.MaxTimestamp = minus(now, c.TimestampBeforeMs), plus(now, c.TimestampAfterMs)
	}
	if err := record.Validate(batch, limits); err != nil {
		return nil, err
	}
	if c.Compression != "producer" {
		codec, err := storedCodec(c.Compression)
		if err != nil {
			return nil, err
		}
		if batch, err = record.Recompress(batch, codec, c.CompressionLevel, maxDecompressed); err != nil {
			return nil, err
		}
		if len(batch) > c.MaxMessageBytes { // what was sent may have been smaller
			return nil, fmt.Errorf("%d bytes as %s where %d are allowed: %w", len(batch), c.Compression, c.MaxMessageBytes, record.ErrTooLarge)
		}
	}
	if c.LogAppendTime {
		batch.SetLogAppendTime(now)
	}
	return batch, nil
}

// storedCodec is the codec of a topic's compression.type other than "producer".
func storedCodec(name string) (record.Codec, error) {
	if name == "uncompressed" {
		return record.None, nil
	}
	return record.ParseCodec(name)
}

// plus and minus stay within what a timestamp can hold.
func plus(now, ms int64) int64 {
	if ms > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + ms
}

func minus(now, ms int64) int64 {
	if ms > now {
		return 0
	}
	return now - ms
}

// unacknowledged ends a request with acks=0: nothing is answered, but an error closes the
// connection, which is how such a client learns that its metadata is stale.
func unacknowledged(r *protocol.Request, pending []produced) protocol.Answer {
	r.KeepFrame()
	for i := range pending {
		if pending[i].append == nil {
			return protocol.Answer{Close: true}
		}
	}
	return protocol.Answer{}
}

// isAdminClient reports whether the client has the id with which Kafka's own tools may write to
// internal topics.
func isAdminClient(id *string) bool { return id != nil && *id == "__admin_client" }

// awaitReplicas waits until batches that are committed are also held by min.insync.replicas, where
// that is more than a commit needs, or the replicas in sync are fewer: then the producer is told so
// though the batch stays, as in Kafka. timeout is counted anew.
func (b *Broker) awaitReplicas(ctx context.Context, pending []produced, timeout time.Duration) {
	var expired <-chan time.Time
	for i := range pending {
		p := &pending[i]
		if p.need == 0 || p.out.ErrorCode != 0 {
			continue
		}
		if expired == nil {
			expired = time.After(timeout)
		}
		if err := b.awaitHeld(ctx, p, expired); err != nil {
			p.out.BaseOffset, p.out.LogAppendTime, p.out.LogStartOffset = -1, -1, -1
			p.fail(err)
		}
	}
}

// heldInterval is how often who waits for replicas looks whether they are in sync still.
const heldInterval = 100 * time.Millisecond

func (b *Broker) awaitHeld(ctx context.Context, p *produced, expired <-chan time.Time) error {
	r, _ := p.append.Result()
	for {
		held, news := p.p.HeldBy(r.Index)
		switch {
		case news == nil:
			return kerr.NotLeaderForPartition
		case held >= p.need:
			return nil
		case len(b.inSyncNow(p.p)) < p.need:
			return kerr.NotEnoughReplicasAfterAppend
		}
		select {
		case <-news:
		case <-time.After(heldInterval):
		case <-expired:
			return kerr.RequestTimedOut
		case <-ctx.Done():
			return kerr.RequestTimedOut
		}
	}
}

// finish reports whether the group is done with the batch's memory: after an error it may not be.
func (p *produced) finish() bool {
	res, err := p.append.Result()
	if err != nil {
		p.fail(err)
		return false
	}
	p.out.BaseOffset, p.out.LogAppendTime, p.out.LogStartOffset = res.BaseOffset, res.LogAppendTime, res.StartOffset
	p.batch, p.guard = nil, nil
	return true
}

func (p *produced) fail(err error) {
	p.batch = nil
	p.out.ErrorCode = code(err)
	p.out.ErrorMessage = message(err)
	var bad record.RecordErrors
	errors.As(err, &bad)
	for _, e := range bad {
		r := kmsg.NewProduceResponseTopicPartitionErrorRecord()
		r.RelativeOffset, r.ErrorMessage = int32(e.Index), message(e.Err)
		p.out.ErrorRecords = append(p.out.ErrorRecords, r)
	}
}
