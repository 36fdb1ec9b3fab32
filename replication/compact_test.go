package replication

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"quorumlog/log"
	"quorumlog/record"
)

// fillKeys appends records of a few keys until the leader's log has so many segments more, and
// returns the last value of each.
func fillKeys(t *testing.T, lead *Partition, segments int, last map[string]string) {
	t.Helper()
	pad := strings.Repeat("x", 2<<10)
	for n, until := 0, lead.log().Segments()+segments; lead.log().Segments() < until; n++ {
		w := record.NewBuilder(record.BuilderOptions{})
		for i := range 4 {
			k, v := fmt.Sprint("key", (n*7+i)%13), fmt.Sprint(lead.EndOffset(), i, pad)
			w.Add(record.Record{Timestamp: 1_700_000_000_000, Key: []byte(k), Value: []byte(v)})
			last[k] = v
		}
		mustAppend(t, lead, w.Build())
	}
}

// lastValues is what a reader of the whole partition has in the end.
func lastValues(t *testing.T, p *Partition) map[string]string {
	t.Helper()
	got := map[string]string{}
	next := p.StartOffset()
	err := p.Batches(next, p.HighWatermark(), func(b record.Batch) bool {
		records, _ := b.Records(1 << 20)
		for r := range records {
			if r.Key != nil {
				got[string(r.Key)] = string(r.Value)
			}
		}
		next = b.NextOffset()
		return true
	})
	if err != nil || next != p.HighWatermark() {
		t.Fatalf("node %d: read to %d of %d, %v", p.node.ID, next, p.HighWatermark(), err)
	}
	return got
}

func compactNow(t *testing.T, p *Partition) {
	t.Helper()
	before := p.Size()
	var err error
	await(t, p, "compaction", func() bool {
		_, err = p.Compact(log.Compaction{MapBytes: 1 << 20, DeleteRetention: 1000})
		return !errors.Is(err, ErrNotNow)
	})
	if err != nil || p.Size() > before/2 {
		t.Fatalf("node %d: %d bytes of %d are left, %v", p.node.ID, p.Size(), before, err)
	}
}

// agreed waits until all replicas have the leader's entries, and compares what readers get.
func agreed(c *cluster, last map[string]string) {
	c.t.Helper()
	lead := c.leader()
	mustAppend(c.t, lead, batchOf("last"))
	end := lead.HighWatermark()
	for _, p := range c.running() {
		await(c.t, p, fmt.Sprintf("node %d to catch up to %d", p.node.ID, end), func() bool { return p.HighWatermark() >= end })
		if got := lastValues(c.t, p); !maps.Equal(got, last) {
			c.t.Errorf("node %d has %d keys of %d, or other values", p.node.ID, len(got), len(last))
		}
	}
}

func TestEachReplicaCompactsByItselfAndReadersSeeTheSame(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	last := map[string]string{}
	fillKeys(t, lead, 6, last)
	agreed(c, last)
	for i, p := range c.running() {
		if i < 2 {
			compactNow(t, p)
		}
	}
	agreed(c, last)
	for id := int32(1); id <= 3; id++ { // whoever leads next, compacted or not
		c.stop(id)
		fillKeys(t, c.leader(), 1, last)
		c.start(id)
		agreed(c, last)
	}
	compactNow(t, c.leader())
	agreed(c, last)
}

func TestWhoLacksWhatIsCompactedGetsTheSegments(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	last := map[string]string{}
	fillKeys(t, c.leader(), 6, last)
	agreed(c, last)
	away := int32(1)
	if c.leader().node.ID == away {
		away = 2
	}
	c.stop(away)
	lead := c.leader()
	fillKeys(t, lead, 6, last)
	compactNow(t, lead)
	before := lead.node.shipped.Load()
	c.start(away) // lacks entries that are not there any more
	c.addNode(4)
	four := c.start(4) // lacks everything
	c.reconciled(disks(1, 2, 3, 4))
	agreed(c, last)
	if shipped := lead.node.shipped.Load() - before; shipped < lead.Size() {
		t.Errorf("%d bytes shipped, the log has %d", shipped, lead.Size())
	}
	if four.log().Dense() != lead.log().Dense() {
		t.Errorf("the new replica's log is compacted up to entry %d, the leader's to %d", four.log().Dense(), lead.log().Dense())
	}
	c.stop(4)
	c.start(4)
	if err := c.leader().TransferLeadership(4); err != nil {
		t.Fatal(err)
	}
	fillKeys(t, c.leader(), 2, last)
	agreed(c, last)
}
