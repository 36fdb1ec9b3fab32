package cluster

import (
	"fmt"
	"io"
)

const (
	// commandFormat and snapshotFormat are the first byte of an entry and of a snapshot.
	commandFormat  = 1
	snapshotFormat = 1
	// maxCommandBytes bounds one decision.
	maxCommandBytes = 8 << 20
)

// frame appends one record with its type, version and length.
func (w *writer) frame(r Record) {
	var body writer
	r.encode(&body)
	w.uint(uint64(r.kind()))
	w.uint(recordFormats[r.kind()].version)
	w.uint(uint64(len(body.b)))
	w.b = append(w.b, body.b...)
}

// frame takes one record.
func (r *reader) frame() Record {
	kind, version := recordKind(r.uint()), r.uint()
	body := reader{b: r.bytes(r.uint())}
	if r.err != nil {
		return nil
	}
	f, known := recordFormats[kind]
	switch {
	case !known:
		r.err = fmt.Errorf("%w: record type %d version %d is unknown to this version; start the newer version that wrote it", ErrNewerVersion, kind, version)
		return nil
	case version > f.version:
		r.err = fmt.Errorf("%w: %s record has version %d, this version reads up to %d; start the newer version that wrote it", ErrNewerVersion, f.name, version, f.version)
		return nil
	case version == 0:
		r.fail(f.name + " record of version 0")
		return nil
	}
	record := f.decode(&body, version)
	if body.err == nil && len(body.b) > 0 {
		body.fail("bytes after the last field")
	}
	if body.err != nil {
		r.err = fmt.Errorf("%s record version %d: %w", f.name, version, body.err)
		return nil
	}
	return record
}

func (r *reader) format(what string, newest byte) {
	f := r.bytes(1)
	if len(f) == 1 && f[0] > newest {
		r.err = fmt.Errorf("%w: %s has format %d, this version reads up to %d; start the newer version that wrote it", ErrNewerVersion, what, f[0], newest)
	} else if len(f) == 1 && f[0] == 0 {
		r.fail(what + " of format 0")
	}
}

// encodeCommand is the data of one Raft entry: the records of one decision, and the index of the
// image that was decided on.
func encodeCommand(base uint64, records []Record) []byte {
	w := writer{b: []byte{commandFormat}}
	w.uint(base)
	for _, r := range records {
		w.frame(r)
	}
	return w.b
}

// decodeCommand is encodeCommand's inverse. Errors: ErrCorrupt, ErrNewerVersion.
func decodeCommand(b []byte) (base uint64, records []Record, err error) {
	r := reader{b: b}
	r.format("metadata entry", commandFormat)
	if r.err == nil {
		base = r.uint()
	}
	for r.err == nil && len(r.b) > 0 {
		records = append(records, r.frame())
	}
	if r.err != nil {
		return 0, nil, r.err
	}
	return base, records, nil
}

// writeSnapshot writes an image as records.
func writeSnapshot(to io.Writer, i *Image) error {
	w := writer{b: []byte{snapshotFormat}}
	w.uint(i.index)
	for r := range i.records {
		w.frame(r)
		if len(w.b) < 64<<10 {
			continue
		}
		if _, err := to.Write(w.b); err != nil {
			return err
		}
		w.b = w.b[:0]
	}
	_, err := to.Write(w.b)
	return err
}

// readSnapshot is writeSnapshot's inverse. Errors: ErrCorrupt, ErrNewerVersion, and the reader's.
func readSnapshot(from io.Reader) (*Image, error) {
	b, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	r := reader{b: b}
	r.format("metadata snapshot", snapshotFormat)
	if r.err != nil {
		return nil, r.err
	}
	index, d := r.uint(), new(Image).delta()
	for r.err == nil && len(r.b) > 0 {
		record := r.frame()
		if r.err != nil {
			break
		}
		if err := record.apply(d); err != nil {
			return nil, fmt.Errorf("%w: metadata snapshot at %d: %w", ErrCorrupt, index, err)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return d.image(index), nil
}

// records yields an image as the records that make it.
func (i *Image) records(yield func(Record) bool) {
	var rs []Record
	if i.clusterID != "" {
		rs = append(rs, ClusterRecord{i.clusterID})
	}
	for _, name := range sortedKeys(i.features) {
		rs = append(rs, FeatureRecord{name, i.features[name]})
	}
	if i.nextProducerID > 0 {
		rs = append(rs, ProducerIDsRecord{i.nextProducerID})
	}
	for _, b := range i.brokers {
		rs = append(rs, BrokerRecord{*b})
	}
	for _, res := range i.ConfiguredResources() {
		for _, name := range sortedKeys(i.configs[res]) {
			v := i.configs[res][name]
			rs = append(rs, ConfigRecord{Resource: res, Name: name, Value: &v})
		}
	}
	for _, r := range rs {
		if !yield(r) {
			return
		}
	}
	for _, t := range i.topics {
		if !yield(TopicRecord{*t}) {
			return
		}
	}
}
