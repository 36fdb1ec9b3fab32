package log

import "quorumlog/record"

// readMap looks for the map at the end of a compacted segment.
func (in *inspector) readMap() error {
	begin := in.pos
	batches, err := in.seekLast()
	if err != nil {
		return err
	}
	b, err := in.read()
	if err != nil {
		return err
	}
	b, kind, why := nextWhole(b, 0, 0, true)
	var m entryMap
	if why == "" && kind == kindMap {
		if m, err = mapOf(b, batches); err != nil {
			why = err.Error()
		}
	} else if why == "" {
		why = "another batch is the last"
	}
	if why != "" {
		return in.problem("compacted, but not up to the map of its entries: " + why)
	}
	in.pos, in.runs, in.kept, in.end = begin, m.runs, 0, in.index+uint64(m.span)
	in.index += uint64(m.runs[0].removed)
	return nil
}

// seekLast goes to the last batch of the file, and returns how many are before it.
func (in *inspector) seekLast() (batches int, err error) {
	for {
		head, err := in.readAt(record.HeaderSize)
		if err != nil {
			return 0, err
		}
		if len(head) < record.HeaderSize || record.Size(head) < record.HeaderSize {
			return 0, in.problem("no batch")
		}
		n := int64(record.Size(head))
		if in.pos+n >= in.size {
			return batches, nil
		}
		in.pos, batches = in.pos+n, batches+1
	}
}

// skipRemoved steps over the entries that compaction has removed before the next batch.
func (in *inspector) skipRemoved() {
	for len(in.runs) > 0 && in.kept == in.runs[0].kept {
		in.runs, in.kept = in.runs[1:], 0
		if len(in.runs) > 0 {
			in.index += uint64(in.runs[0].removed)
		}
	}
	in.kept++
}

// leave goes to where a compacted segment ends.
func (in *inspector) leave(m record.Batch) {
	in.next, in.index, in.term = m.BaseOffset(), in.end, uint64(m.LeaderEpoch())
}
