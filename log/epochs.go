package log

import (
	"slices"
	"sort"
)

// EpochStart says at which offset a leader epoch (a Raft term) began to write.
type EpochStart struct {
	Epoch int32
	Start int64
}

// epochs is the history of leader epochs, ascending in both fields. It is immutable: every
// change makes a new one.
type epochs []EpochStart

// with returns the history after an entry of this term was appended at offset next. An epoch
// that wrote nothing leaves no trace.
func (e epochs) with(term uint64, next int64) epochs {
	n := len(e)
	if n > 0 && e[n-1].Epoch >= int32(term) {
		return e
	}
	if n > 0 && e[n-1].Start >= next {
		n--
	}
	return append(e[:n:n], EpochStart{int32(term), next})
}

// truncated returns the history of a log that now ends at offset next.
func (e epochs) truncated(next int64, lastTerm uint64) epochs {
	n := sort.Search(len(e), func(i int) bool { return e[i].Start > next || uint64(e[i].Epoch) > lastTerm })
	return e[:n:n]
}

// trimmed forgets epochs that ended before the log start.
func (e epochs) trimmed(start int64) epochs {
	n := 0
	for n+1 < len(e) && e[n+1].Start <= start {
		n++
	}
	if n == len(e) || n == 0 && e[0].Start >= start {
		return e
	}
	kept := slices.Clone(e[n:])
	kept[0].Start = max(kept[0].Start, start)
	return kept
}

// end returns the largest known epoch that is not above the one asked for, and the offset at
// which it ended; for one from before the history itself and where the history begins, as Kafka
// does; ok is false for one that is still to come.
func (e epochs) end(epoch int32, logEnd int64) (int32, int64, bool) {
	switch {
	case len(e) == 0 || epoch < 0 || epoch > e[len(e)-1].Epoch:
		return -1, -1, false
	case epoch < e[0].Epoch:
		return epoch, e[0].Start, true
	}
	i := sort.Search(len(e), func(i int) bool { return e[i].Epoch > epoch })
	if i == len(e) {
		return e[i-1].Epoch, logEnd, true
	}
	return e[i-1].Epoch, e[i].Start, true
}

// at returns the epoch in which the offset was written, or -1.
func (e epochs) at(offset int64) int32 {
	i := sort.Search(len(e), func(i int) bool { return e[i].Start > offset })
	if i == 0 {
		return -1
	}
	return e[i-1].Epoch
}
