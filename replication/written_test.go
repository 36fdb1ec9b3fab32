package replication

import (
	"fmt"
	"testing"
	"time"
)

// A producer with acks=1 waits for its leader's disk, and for nobody else.
func TestABatchIsWrittenBeforeItIsCommitted(t *testing.T) {
	c := newCluster(t, 10*time.Second)
	lead := c.leader()
	base := mustAppend(t, lead, batchOf("committed")).BaseOffset
	for id := range c.nodes {
		if id != lead.node.ID {
			c.net.setCut(id, true)
		}
	}
	var pending []*Append
	for i := range 5 {
		pending = append(pending, lead.AppendWritten(idempotentBatch(1, 0, int32(i), fmt.Sprint(i))))
	}
	for i, a := range pending {
		select {
		case <-a.Written().Done():
		case <-time.After(4 * time.Second):
			t.Fatalf("batch %d waits for the others", i)
		}
		if r, err := a.Written().Result(); err != nil || r.BaseOffset != base+1+int64(i) {
			t.Errorf("batch %d: %+v, %v", i, r, err)
		}
		select {
		case <-a.Done():
			t.Errorf("batch %d is committed", i)
		default:
		}
	}
	if lead.HighWatermark() != base+1 {
		t.Errorf("high watermark %d", lead.HighWatermark())
	}
	for id := range c.nodes {
		c.net.setCut(id, false)
	}
	for i, a := range pending {
		<-a.Done()
		if r, err := a.Result(); err != nil || r.BaseOffset != base+1+int64(i) {
			t.Errorf("batch %d: %+v, %v", i, r, err)
		}
	}
	if a := lead.AppendWritten(idempotentBatch(1, 0, 4, "4")); true {
		<-a.Written().Done()
		if r, err := a.Written().Result(); err != nil || !r.Duplicate {
			t.Errorf("the duplicate: %+v, %v", r, err)
		}
	}
}

// A batch that never gets to the disk fails both who waits for the commit and who does not.
func TestABatchThatIsNotWrittenFails(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	if err := lead.TransferLeadership(-1); err != nil {
		t.Fatal(err)
	}
	a := lead.AppendWritten(batchOf("late"))
	<-a.Written().Done()
	if _, err := a.Written().Result(); err == nil {
		t.Error("accepted by a replica that does not lead")
	}
}
