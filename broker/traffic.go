package broker

import (
	"sync/atomic"

	"quorumlog/record"
)

// traffic is what clients have written to a replica and read from it since it was opened here.
type traffic struct {
	recordsIn, bytesIn, bytesOut atomic.Int64
}

// in counts a batch that was accepted.
func (t *traffic) in(b record.Batch) {
	t.recordsIn.Add(int64(b.LastOffsetDelta()) + 1)
	t.bytesIn.Add(int64(len(b)))
}
