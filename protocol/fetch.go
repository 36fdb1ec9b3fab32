package protocol

import "github.com/twmb/franz-go/pkg/kmsg"

// FetchResponse is a Fetch response, version 4 or later, whose records stay where they are:
// Sections[topic][partition] holds a partition's records. Where it is nil or missing the
// partition's RecordBatches are sent.
type FetchResponse struct {
	kmsg.FetchResponse
	Sections [][][]Section
}

// NewFetchResponse returns an empty response to a request of a version.
func NewFetchResponse(version int16) *FetchResponse {
	f := new(FetchResponse)
	f.FetchResponse.Default()
	f.Version = version
	return f
}

func (f *FetchResponse) sections(topic, partition int) []Section {
	if topic < len(f.Sections) && partition < len(f.Sections[topic]) {
		return f.Sections[topic][partition]
	}
	return nil
}

// AppendTo appends the whole response, with its sections copied into their places.
func (f *FetchResponse) AppendTo(dst []byte) []byte {
	b, cuts := f.encode(nil)
	at := 0
	for _, cut := range cuts {
		dst = append(dst, b[at:cut.at]...)
		for _, s := range cut.sections {
			dst = append(dst, s.Mem...)
		}
		at = cut.at
	}
	return append(dst, b[at:]...)
}

// encode appends the response without its sections, and returns where in dst these belong.
func (f *FetchResponse) encode(dst []byte) ([]byte, []cut) {
	e := encoder{b: dst, flexible: f.IsFlexible()}
	e.int32(f.ThrottleMillis)
	if f.Version >= 7 {
		e.int16(f.ErrorCode)
		e.int32(f.SessionID)
	}
	var cuts []cut
	e.arrayLen(len(f.Topics))
	for i := range f.Topics {
		t := &f.Topics[i]
		if f.Version >= 13 {
			e.b = append(e.b, t.TopicID[:]...)
		} else {
			e.string(t.Topic)
		}
		e.arrayLen(len(t.Partitions))
		for j := range t.Partitions {
			f.encodePartition(&e, &t.Partitions[j], f.sections(i, j), &cuts)
		}
		e.tags(&t.UnknownTags)
	}
	f.encodeEnd(&e)
	return e.b, cuts
}

func (f *FetchResponse) encodePartition(e *encoder, p *kmsg.FetchResponseTopicPartition, sections []Section, cuts *[]cut) {
	e.int32(p.Partition)
	e.int16(p.ErrorCode)
	e.int64(p.HighWatermark)
	e.int64(p.LastStableOffset)
	if f.Version >= 5 {
		e.int64(p.LogStartOffset)
	}
	e.nullableArrayLen(len(p.AbortedTransactions), p.AbortedTransactions == nil)
	for k := range p.AbortedTransactions {
		a := &p.AbortedTransactions[k]
		e.int64(a.ProducerID)
		e.int64(a.FirstOffset)
		e.tags(&a.UnknownTags)
	}
	if f.Version >= 11 {
		e.int32(p.PreferredReadReplica)
	}
	if sections != nil {
		e.bytesLen(sizeOf(sections))
		*cuts = append(*cuts, cut{len(e.b), sections})
	} else {
		e.nullableBytes(p.RecordBatches)
	}
	if e.flexible {
		encodePartitionTags(e, p)
	}
}

// encodePartitionTags appends a partition's tagged fields: 0 the epoch where logs diverge, 1
// the current leader, 2 the snapshot to fetch instead. Defaults are left out.
func encodePartitionTags(e *encoder, p *kmsg.FetchResponseTopicPartition) {
	d, l, s := &p.DivergingEpoch, &p.CurrentLeader, &p.SnapshotID
	hasD := d.Epoch != -1 || d.EndOffset != -1 || d.UnknownTags.Len() > 0
	hasL := l.LeaderID != -1 || l.LeaderEpoch != -1 || l.UnknownTags.Len() > 0
	hasS := s.Epoch != -1 || s.EndOffset != -1 || s.UnknownTags.Len() > 0
	e.uvarint(count(hasD, hasL, hasS) + p.UnknownTags.Len())
	if hasD {
		e.tag(0, func(e *encoder) {
			e.int32(d.Epoch)
			e.int64(d.EndOffset)
			e.tags(&d.UnknownTags)
		})
	}
	if hasL {
		e.tag(1, func(e *encoder) {
			e.int32(l.LeaderID)
			e.int32(l.LeaderEpoch)
			e.tags(&l.UnknownTags)
		})
	}
	if hasS {
		e.tag(2, func(e *encoder) {
			e.int64(s.EndOffset)
			e.int32(s.Epoch)
			e.tags(&s.UnknownTags)
		})
	}
	e.b = p.UnknownTags.AppendEach(e.b)
}

// encodeEnd appends the response's tagged fields: 0 the brokers that CurrentLeader names.
func (f *FetchResponse) encodeEnd(e *encoder) {
	if !e.flexible {
		return
	}
	e.uvarint(count(len(f.Brokers) > 0) + f.UnknownTags.Len())
	if len(f.Brokers) > 0 {
		e.tag(0, func(e *encoder) {
			e.arrayLen(len(f.Brokers))
			for i := range f.Brokers {
				b := &f.Brokers[i]
				e.int32(b.NodeID)
				e.string(b.Host)
				e.int32(b.Port)
				e.nullableString(b.Rack)
				e.tags(&b.UnknownTags)
			}
		})
	}
	e.b = f.UnknownTags.AppendEach(e.b)
}

func count(flags ...bool) int {
	n := 0
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}
