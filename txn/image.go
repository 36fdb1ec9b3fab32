package txn

import (
	"log/slog"

	"quorumlog/internal/shards"
	"quorumlog/record"
)

// maxUnpacked bounds one batch of the log when it is decompressed, bytes.
const maxUnpacked = 64 << 20

// image is what the records of a log say.
type image struct {
	all    map[string]*transaction
	end    int64 // offset after the newest batch
	logger *slog.Logger
}

func newImage(l *slog.Logger) *image { return &image{all: map[string]*transaction{}, logger: l} }

// replay applies a whole log. Whatever it cannot read is skipped and logged.
func (im *image) replay(l shards.Log, stopped func() bool) error {
	return l.Replay(0, func(b record.Batch) bool {
		im.end = b.NextOffset()
		if !b.IsControl() {
			im.applyBatch(b)
		}
		return !stopped()
	})
}

func (im *image) applyBatch(b record.Batch) {
	records, err := b.Records(maxUnpacked)
	for r := range records {
		im.apply(r.Key, r.Value)
	}
	if err := err(); err != nil {
		im.skip("batch", err)
	}
}

// apply is the only thing that changes an image, both when the log is replayed and when this
// leader's own records are committed. It keeps no part of key and value.
func (im *image) apply(key, value []byte) {
	id, err := parseKey(key)
	if err != nil {
		im.skip("key", err)
		return
	}
	if value == nil {
		delete(im.all, id)
		return
	}
	t, err := parseValue(id, value)
	if err != nil {
		im.skip("value", err)
		return
	}
	im.all[id] = t
}

func (im *image) skip(what string, err error) {
	im.logger.Warn("skipped a record of __transaction_state", "what", what, "err", err)
}
