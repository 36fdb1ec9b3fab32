package group

import (
	"errors"
	"maps"
	"slices"
)

// When a shard writes its state anew: the log has grown by rewriteFrom bytes and is
// rewriteRatio times as long as what is live in it.
const (
	rewriteFrom  = 8 << 20
	rewriteRatio = 4
)

// rewrite is a compaction: the live state is written again, group by group, at the log's tail,
// between other writes; then everything before its beginning is trimmed. A group written late
// contains what changed meanwhile, so that at every moment the whole log replays to the same
// state, and so does its part from the beginning on once all groups are written.
type rewrite struct {
	begin  int64    // everything below is trimmed in the end
	groups []string // still to be written
	before int64    // bytes written before begin
}

// errUnstable ends a compaction that has only groups left with offsets of open transactions: a copy
// of a committed offset would count as newer than one that a transaction is about to commit.
var errUnstable = errors.New("offsets of open transactions")

// startRewrite begins a compaction if it is time. Nothing is in flight when it is called.
func (s *shard) startRewrite() {
	im := s.image
	if s.rewrite != nil || im.foreign || s.end == 0 || im.written < max(rewriteFrom, rewriteRatio*im.live) {
		return
	}
	s.rewrite = &rewrite{begin: s.end, groups: slices.Collect(maps.Keys(im.groups)), before: im.written}
}

// rewriteNext writes the next groups of a compaction. It reports whether the writer should go on.
func (s *shard) rewriteNext() bool {
	if s.enter() != none {
		return false
	}
	rw := s.rewrite
	if rw == nil {
		s.mu.Unlock()
		return true
	}
	batches := s.nextGroups(rw)
	s.mu.Unlock()

	var err error
	for _, records := range batches {
		if _, err = s.append(records, nil); err != nil {
			break
		}
	}
	if s.enter() != none {
		return false
	}
	if err == nil && len(batches) == 0 && len(rw.groups) > 0 {
		err = errUnstable
	}
	done := s.rewritten(rw, err)
	s.mu.Unlock()
	if done {
		s.trim(rw.begin)
	}
	return true
}

// trim forgets the log's old part. If that fails, the next compaction does it.
func (s *shard) trim(before int64) {
	if err := s.log.Trim(before); err != nil {
		s.logger.Warn("cannot trim __consumer_offsets", "before", before, "err", err)
	}
}

// nextGroups is the records of at least one group, at most about one batch unless a group
// alone has more. It is cut into batches; nothing else must be written between them.
func (s *shard) nextGroups(rw *rewrite) [][]keyValue {
	var out [][]keyValue
	var batch []keyValue
	size := 0
	add := func(r keyValue) {
		if n := recordOverhead + len(r.key) + len(r.value); size+n > maxBatch && len(batch) > 0 {
			out, batch, size = append(out, batch), nil, n
		} else {
			size += n
		}
		batch = append(batch, r)
	}
	var later []string
	for len(rw.groups) > 0 && len(out) == 0 {
		id := rw.groups[len(rw.groups)-1]
		rw.groups = rw.groups[:len(rw.groups)-1]
		switch g := s.image.groups[id]; {
		case g == nil:
		case len(g.unstable) > 0:
			later = append(later, id)
		default:
			g.records(add)
		}
	}
	rw.groups = append(later, rw.groups...)
	if len(batch) > 0 {
		out = append(out, batch)
	}
	return out
}

// records yields the group's durable state.
func (g *group) records(add func(keyValue)) {
	if g.stored != nil {
		add(keyValue{groupKey(g.id), g.stored})
	}
	for topic, parts := range g.offsets {
		for i := range parts {
			add(keyValue{offsetKey(g.id, topic, parts[i].partition), parts[i].value()})
		}
	}
}

// rewritten notes that groups were written, and reports whether they were the last.
func (s *shard) rewritten(rw *rewrite, err error) bool {
	if err != nil {
		s.rewrite = nil
		s.image.written = 0 // the next attempt comes when the log has grown as for a first one
		return false
	}
	if len(rw.groups) > 0 {
		return false
	}
	s.rewrite = nil
	s.image.written -= rw.before
	return true
}
