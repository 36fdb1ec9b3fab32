package replication

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestClosingBrieflyLeavesALittleToBeReadAgain(t *testing.T) {
	for _, c := range []struct {
		name       string
		value      string
		close      func(*Partition) error
		checkpoint bool
	}{
		{"a little", "v", (*Partition).CloseBriefly, false},
		{"much", strings.Repeat("v", closingBytes), (*Partition).CloseBriefly, true},
		{"in good order", "v", (*Partition).Close, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := alone(t)
			mustAppend(t, p, idempotentBatch(7, 0, 0, c.value))
			if err := c.close(p); err != nil {
				t.Fatal(err)
			}
			_, err := os.Stat(filepath.Join(p.Dir(), "checkpoint"))
			if there := err == nil; there != c.checkpoint {
				t.Errorf("checkpoint: %v, %v", there, err)
			}
			again := open(t, p.node, p.Dir())
			awaitLeading(t, again)
			if r := mustAppend(t, again, idempotentBatch(7, 0, 0, c.value)); !r.Duplicate || r.BaseOffset != 0 {
				t.Errorf("the same batch again: %+v", r)
			}
			mustAppend(t, again, idempotentBatch(7, 0, 1, "more"))
			if got := values(t, again); !slices.Equal(got, []string{c.value, "more"}) {
				t.Errorf("%d records", len(got))
			}
		})
	}
}
