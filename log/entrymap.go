package log

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"sort"

	"quorumlog/record"
)

// entryMap is the last batch of a compacted segment, one of ours: it says which Raft entries the
// batches before it are. So the data file alone tells index and term of every entry, also of those
// that compaction has removed.
//
//	entries uvarint   that the segment stands for
//	sum     uint32    CRC32C of the file up to the map
//	terms   uvarint   how many of: ordinal of the first entry less that of the term before uvarint,
//	                  term less the one before uvarint
//	runs              to the end: entries removed uvarint, entries kept after them uvarint
type entryMap struct {
	span  int64
	sum   uint32
	terms termStarts
	runs  []entryRun
}

// entryRun is some removed entries, and those after them that are there.
type entryRun struct{ removed, kept int }

// termStarts says from which entry of a segment on a term holds.
type termStarts []termStart

type termStart struct {
	ordinal int
	term    uint64
}

func (t termStarts) at(n int) uint64 {
	return t[sort.Search(len(t), func(i int) bool { return t[i].ordinal > n })-1].term
}

// begin notes that entry n is of a term.
func (t *termStarts) begin(n int, term uint64) {
	if k := len(*t); k == 0 || (*t)[k-1].term != term {
		*t = append(*t, termStart{n, term})
	}
}

// keep notes that entry n is the next one that is there.
func (m *entryMap) keep(n int) {
	if k := len(m.runs); k > 0 && int64(n) == m.span {
		m.runs[k-1].kept++
	} else {
		m.runs = append(m.runs, entryRun{n - int(m.span), 1})
	}
	m.span = int64(n) + 1
}

func (m *entryMap) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(m.span))
	b = binary.BigEndian.AppendUint32(b, m.sum)
	b = binary.AppendUvarint(b, uint64(len(m.terms)))
	last := termStart{}
	for _, t := range m.terms {
		b = binary.AppendUvarint(b, uint64(t.ordinal-last.ordinal))
		b = binary.AppendUvarint(b, t.term-last.term)
		last = t
	}
	for _, r := range m.runs {
		b = binary.AppendUvarint(b, uint64(r.removed))
		b = binary.AppendUvarint(b, uint64(r.kept))
	}
	return b
}

var errEntryMap = errors.New("malformed map of entries")

// parseEntryMap checks that the map is one of so many batches.
func parseEntryMap(b []byte, batches int) (entryMap, error) {
	var m entryMap
	bad := false
	number := func(most uint64) uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > most {
			bad, b = true, nil
			return 0
		}
		b = b[n:]
		return v
	}
	m.span = int64(number(maxSegmentEntries))
	if len(b) < 4 {
		return m, errEntryMap
	}
	m.sum, b = binary.BigEndian.Uint32(b), b[4:]
	last := termStart{}
	for range number(uint64(len(b) / 2)) {
		last = termStart{last.ordinal + int(number(uint64(m.span))), last.term + number(1<<31-1)}
		m.terms = append(m.terms, last)
	}
	at, kept := 0, 0
	for len(b) > 0 {
		r := entryRun{int(number(uint64(m.span))), int(number(uint64(m.span)))}
		m.runs = append(m.runs, r)
		at, kept = at+r.removed+r.kept, kept+r.kept
	}
	if bad || int64(at) > m.span || kept != batches || len(m.terms) == 0 || m.terms[0].ordinal != 0 || int64(last.ordinal) >= m.span {
		return m, errEntryMap
	}
	return m, nil
}

// number gives the index records of a compacted segment their entries' numbers.
func (m *entryMap) number(x *index) {
	i, n := 0, 0
	for _, r := range m.runs {
		n += r.removed
		for range r.kept {
			x.setOrdinal(i, uint32(n))
			i, n = i+1, n+1
		}
	}
}

// entryMap reads a compacted segment's map, whose place its index tells.
func (s *segment) entryMap(h *handle) (entryMap, error) {
	entries := int(s.entries.Load())
	pos := s.end(h, entries-1, entries)
	b, kind, why := s.nextWhole(h.data[min(pos, int64(len(h.data))):], s.nextOffset.Load(), 0)
	if why == "" && kind != kindMap {
		why = "no map of entries"
	}
	if why != "" {
		return entryMap{}, corrupt(s.path(dataSuffix), "byte %d: %s", pos, why)
	}
	m, err := s.parseMap(b)
	if err == nil && m.span != s.span {
		err = errEntryMap
	}
	if err != nil {
		return m, corrupt(s.path(dataSuffix), "byte %d: %v", pos, err)
	}
	return m, nil
}

func (s *segment) parseMap(b record.Batch) (entryMap, error) { return mapOf(b, int(s.entries.Load())) }

// mapOf is the map in a control batch, of so many batches.
func mapOf(b record.Batch, batches int) (entryMap, error) {
	_, payload, err := parseControl(b)
	if err != nil {
		return entryMap{}, err
	}
	return parseEntryMap(payload, batches)
}

// readMap completes a compacted segment that was scanned up to its map. It returns why that is not
// the right one.
func (s *segment) readMap(h *handle, b record.Batch) string {
	m, err := s.parseMap(b)
	switch {
	case err != nil:
		return err.Error()
	case m.sum != s.dataCRC:
		return "not the data that the map of entries was made for"
	case b.BaseOffset() != s.nextOffset.Load() || uint64(b.LeaderEpoch()) != m.terms[len(m.terms)-1].term:
		return "a map of entries that does not belong here"
	}
	s.span, h.terms = m.span, m.terms
	s.endTerm = uint64(b.LeaderEpoch())
	m.number(h.index)
	s.indexCRC = h.index.checksum(int(s.entries.Load()))
	s.size.Add(int64(len(b)))
	return ""
}

// addSum extends the checksum of a compacted segment's data.
func (s *segment) addSum(b []byte) { s.dataCRC = crc32.Update(s.dataCRC, castagnoli, b) }
