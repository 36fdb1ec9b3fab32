package broker

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/log"
	"quorumlog/protocol"
	"quorumlog/replication"
)

// fetching is one Fetch request from its decision to its answer. It belongs to the goroutine
// that writes the connection's answers.
type fetching struct {
	b             *Broker
	plan          *fetchPlan
	resp          *protocol.FetchResponse
	drained       <-chan struct{}
	readCommitted bool
	byID          bool
	fromFollower  bool   // the client may be served by a replica that follows (KIP-392)
	rack          string // of the client
	minBytes      int
	maxBytes      int
	hints         leaderHints

	results []fetchResult // one for each partition of the plan
	bytes   int
	failed  bool
}

// fetchResult is what was read of one partition.
type fetchResult struct {
	err       *kerr.Error
	highMark  int64
	stable    int64
	logStart  int64
	leader    replication.State
	diverging *log.EpochStart // epoch and its end offset, where the client's log has diverged
	aborted   []log.AbortedTransaction
	preferred int32 // replica that the client should read from instead, -1 for this one
	view      log.View
	p         *replication.Partition
	traffic   *traffic // of that partition
}

// run waits until the request can be answered and fills in the answer.
func (f *fetching) run(ctx context.Context, maxWait time.Duration) {
	f.results = make([]fetchResult, len(f.plan.parts))
	f.read(ctx)
	if maxWait > 0 && !f.enough() && len(f.plan.parts) > 0 {
		f.wait(ctx, maxWait)
	}
	f.answer()
}

func (f *fetching) enough() bool { return f.failed || f.bytes >= f.minBytes }

// wait reads again whenever one of the partitions has moved, until it is enough or time is up.
func (f *fetching) wait(ctx context.Context, maxWait time.Duration) {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	wake := make(chan struct{}, 1)
	for i := range f.results {
		if p := f.results[i].p; p != nil {
			defer p.Watch(wake)()
		}
	}
	// Something may have come between the first read and Watch.
	for again := true; again; {
		f.release()
		f.read(ctx)
		if f.enough() {
			return
		}
		select {
		case <-wake:
		case <-timer.C:
			again = false
		case <-ctx.Done():
			again = false
		case <-f.drained:
			again = false
		}
	}
}

// read reads every partition of the plan, within the request's limits.
func (f *fetching) read(ctx context.Context) {
	f.bytes, f.failed = 0, false
	for i, part := range f.plan.parts {
		r := &f.results[i]
		*r = fetchResult{highMark: -1, stable: -1, logStart: -1, preferred: -1, leader: replication.State{Leader: -1, Epoch: -1}}
		if err := f.readOne(ctx, part, r); err != nil {
			r.err = codeOf(err)
			f.failed = true
		}
		if r.diverging != nil || r.preferred >= 0 {
			f.failed = true
		}
		f.bytes += r.view.Size
	}
}

func (f *fetching) readOne(ctx context.Context, part *fetchPartition, r *fetchResult) error {
	topic, err := topicOf(f.b.meta.Image(), part.topic, part.id, f.byID)
	if err != nil {
		return err
	}
	x, err := f.b.replica(topic, part.partition)
	if errors.Is(err, kerr.NotLeaderForPartition) && f.rack != "" {
		if r.preferred = f.b.elsewhere(topic, part.partition); r.preferred >= 0 {
			return nil
		}
	}
	if err != nil {
		return err
	}
	p, err := f.b.replicas.ready(ctx, x)
	if err != nil {
		return err
	}
	r.p, r.leader, r.traffic = p, p.State(), &x.traffic
	if err := f.mayServe(r.leader, part.leaderEpoch); err != nil {
		return err
	}
	r.stable = p.LastStableOffset() // before the high watermark, so that it is not above
	r.highMark, r.logStart = p.HighWatermark(), p.StartOffset()
	if r.diverging, err = divergence(p, part); err != nil || r.diverging != nil {
		return err
	}
	limit := r.highMark
	if f.readCommitted {
		limit = r.stable
	}
	if r.leader.Leading {
		if r.preferred = f.b.nearer(topic, part.partition, f.rack); r.preferred >= 0 {
			return nil
		}
	} else if part.offset > r.highMark {
		return nil // the leader may have gone on: what it has arrives here soon
	}
	// The first partition with records may exceed the limits, so that a large batch can always
	// be read.
	room := max(min(f.maxBytes-f.bytes, int(part.maxBytes)), 0)
	if r.view, err = p.Read(part.offset, limit, room, f.bytes == 0); err != nil || r.view.Size == 0 || !f.readCommitted {
		return err
	}
	if r.aborted, err = p.Aborted(part.offset, r.view.Next); err != nil {
		r.view.Release()
		r.view = log.View{}
	}
	return err
}

// mayServe checks the client's leader epoch, and that this replica may answer it: one that
// follows a leader that it hears from may, where the client can cope with that.
func (f *fetching) mayServe(s replication.State, epoch int32) error {
	err := checkEpoch(s, epoch)
	if errors.Is(err, kerr.NotLeaderForPartition) && f.fromFollower && s.Leader >= 0 {
		return nil
	}
	return err
}

// checkEpoch refuses a partition that this node does not lead, and a client whose idea of the
// leader is older or newer than this node's (KIP-320); -1 is no idea.
func checkEpoch(s replication.State, epoch int32) error {
	switch {
	case epoch >= 0 && epoch < s.Epoch:
		return kerr.FencedLeaderEpoch
	case epoch > s.Epoch:
		return kerr.UnknownLeaderEpoch
	case !s.Leading:
		return kerr.NotLeaderForPartition
	}
	return nil
}

// divergence finds where the client's log and this one part (KIP-595); nil where they do not.
func divergence(p *replication.Partition, part *fetchPartition) (*log.EpochStart, error) {
	if part.lastEpoch < 0 {
		return nil, nil
	}
	epoch, end := p.EpochEnd(part.lastEpoch)
	switch {
	case epoch < 0 || end < 0:
		return nil, kerr.OffsetOutOfRange // nobody can tell where to go on
	case epoch < part.lastEpoch || end < part.offset:
		return &log.EpochStart{Epoch: epoch, Start: end}, nil
	}
	return nil, nil
}

// release lets go of the files that the answer points into.
func (f *fetching) release() {
	for i := range f.results {
		f.results[i].view.Release()
	}
}

// answer fills in the response; a session's answer leaves out partitions without news.
func (f *fetching) answer() {
	served := map[*fetchPartition]bool{}
	if s := f.plan.session; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	at := map[partitionKey]int{} // topic → place in the response
	for i, part := range f.plan.parts {
		r := &f.results[i]
		if known := part.origin; known != nil {
			if !known.news(r) && f.plan.incremental {
				continue
			}
			if r.view.Size > 0 {
				served[known] = true
			}
		}
		if r.view.Size > 0 {
			r.traffic.bytesOut.Add(int64(r.view.Size))
		}
		k := part.key(f.byID)
		k.partition = 0
		t, ok := at[k]
		if !ok {
			t = len(f.resp.Topics)
			at[k] = t
			topic := kmsg.NewFetchResponseTopic()
			topic.Topic, topic.TopicID = part.topic, part.id
			f.resp.Topics = append(f.resp.Topics, topic)
			f.resp.Sections = append(f.resp.Sections, nil)
		}
		f.resp.Topics[t].Partitions = append(f.resp.Topics[t].Partitions, f.partition(part, r))
		f.resp.Sections[t] = append(f.resp.Sections[t], sections(&r.view))
	}
	for _, e := range f.hints.endpoints() {
		f.resp.Brokers = append(f.resp.Brokers, kmsg.FetchResponseBroker(e))
	}
	if s := f.plan.session; s != nil {
		s.rotate(served)
	}
}

// news reports whether the client does not know this result yet, and remembers it as told.
func (p *fetchPartition) news(r *fetchResult) bool {
	code := int16(0)
	if r.err != nil {
		code = r.err.Code
	}
	is := !p.told || code != 0 || p.lastError != code || r.view.Size > 0 || r.diverging != nil || r.preferred >= 0 ||
		p.highMark != r.highMark || p.logStart != r.logStart
	p.told, p.lastError, p.highMark, p.logStart = true, code, r.highMark, r.logStart
	return is
}

func (f *fetching) partition(part *fetchPartition, r *fetchResult) kmsg.FetchResponseTopicPartition {
	out := kmsg.NewFetchResponseTopicPartition()
	out.Partition = part.partition
	out.RecordBatches = []byte{} // never null: some clients take that for an error
	out.PreferredReadReplica = r.preferred
	out.HighWatermark, out.LastStableOffset, out.LogStartOffset = r.highMark, r.stable, r.logStart
	if f.readCommitted {
		out.AbortedTransactions = make([]kmsg.FetchResponseTopicPartitionAbortedTransaction, len(r.aborted))
		for i, a := range r.aborted {
			out.AbortedTransactions[i].ProducerID, out.AbortedTransactions[i].FirstOffset = a.ProducerID, a.First
		}
	}
	if r.diverging != nil {
		out.DivergingEpoch.Epoch, out.DivergingEpoch.EndOffset = r.diverging.Epoch, r.diverging.Start
	}
	if r.err != nil {
		out.ErrorCode = r.err.Code
		if errors.Is(r.err, kerr.NotLeaderForPartition) || errors.Is(r.err, kerr.FencedLeaderEpoch) {
			out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch = f.hints.leaderOf(replicaKey{part.id, part.partition})
		}
	}
	return out
}

func sections(v *log.View) []protocol.Section {
	out := make([]protocol.Section, len(v.Sections))
	for i, s := range v.Sections {
		out[i] = protocol.Section{File: s.File, Off: s.Off, Mem: s.Mem}
	}
	return out
}
