package replication

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"quorumlog/log"
)

// fill appends until the leader's log has so many segments.
func fill(t *testing.T, lead *Partition, segments int) {
	t.Helper()
	value := strings.Repeat("x", 8<<10)
	var pending []*Append
	for i := 0; lead.log().Segments() < segments; i++ {
		pending = append(pending, lead.Append(idempotentBatch(5, 0, int32(i), fmt.Sprint(i, value))))
		if len(pending) == 50 {
			<-pending[49].Done()
			pending = pending[:0]
		}
	}
	for _, a := range pending {
		<-a.Done()
	}
	mustAppend(t, lead, batchOf("filled"))
}

func segmentFiles(t *testing.T, p *Partition) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.Dir(), "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

func TestNewReplicaGetsSegmentFilesAndOnlyTheTailByAppendEntries(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	fill(t, lead, 21)
	c.settled()
	entries, before := int64(lead.log().LastIndex()), lead.node.shipped.Load()
	c.addNode(4)
	four := c.start(4)
	c.reconciled(disks(1, 2, 3, 4))
	c.settled()
	if n := c.net.appended[4].Load(); n > 40 || n == 0 {
		t.Errorf("%d of %d entries went by AppendEntries", n, entries)
	}
	if shipped := lead.node.shipped.Load() - before; shipped < lead.Size()*8/10 || shipped > lead.Size() {
		t.Errorf("%d bytes shipped of %d", shipped, lead.Size())
	}
	if got := segmentFiles(t, four); got < 21 {
		t.Errorf("%d segment files", got)
	}
	if r := four.Producers(); len(r) != 1 {
		t.Errorf("producers %+v", r)
	}
	// What came as files is as good as what it wrote itself: also after a restart, and as a leader.
	c.stop(4)
	c.start(4)
	if err := c.leader().TransferLeadership(4); err != nil {
		t.Fatal(err)
	}
	c.settled()
}

func TestFollowerThatWasAwayLongGetsOnlyTheFilesItLacks(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	fill(t, lead, 8)
	c.settled()
	away := lead.node.ID%3 + 1
	c.stop(away)
	before := lead.Size()
	fillMore(t, lead, 20)
	after := lead.Size()
	shipped := -lead.node.shipped.Load()
	c.start(away)
	c.settled()
	shipped += lead.node.shipped.Load()
	if shipped == 0 || shipped > after-before+130<<10 { // the segment that it was writing, and one more
		t.Errorf("%d bytes shipped, %d were new", shipped, after-before)
	}
}

// fillMore is fill for a log that fill has filled before.
func fillMore(t *testing.T, lead *Partition, segments int) {
	t.Helper()
	value := strings.Repeat("y", 8<<10)
	for lead.log().Segments() < segments {
		mustAppend(t, lead, batchOf(value))
	}
}

func TestWipedFollowerIsRebuiltFromFiles(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	fill(t, lead, 10)
	lost := lead.node.ID%3 + 1
	c.stop(lost)
	if err := os.RemoveAll(c.dirs[lost]); err != nil {
		t.Fatal(err)
	}
	if err := lead.Evict(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	if err := c.nodes[lost].Evicted("g-0"); err != nil {
		t.Fatal(err)
	}
	c.net.appended[lost].Store(0)
	c.start(lost)
	c.reconciled(disks(1, 2, 3))
	c.settled()
	if n := c.net.appended[lost].Load(); n > 40 {
		t.Errorf("%d entries went by AppendEntries", n)
	}
}

// TestDivergentAndLongerFollowerIsNotStuck has a cut-off leader write more entries than the
// others do in whole segments meanwhile: its log is longer than the boundary that is shipped.
func TestDivergentAndLongerFollowerIsNotStuck(t *testing.T) {
	c := newCluster(t, time.Second)
	old := c.leader()
	mustAppend(t, old, batchOf("agreed"))
	c.net.setCut(old.node.ID, true)
	for range 100 { // small ones: 100 entries in one segment
		old.Append(batchOf("divergent"))
	}
	c.stopLeading(old)
	longer := old.log().LastIndex()
	next := c.leader()
	value := strings.Repeat("z", 30<<10)
	for next.log().Segments() < 8 {
		mustAppend(t, next, batchOf(value))
	}
	if last := next.log().LastIndex(); last >= longer {
		t.Fatalf("the others' log ends at %d, the divergent one at %d", last, longer)
	}
	c.net.setCut(old.node.ID, false)
	for _, v := range c.settled() {
		if v == "divergent" {
			t.Fatal("a divergent record survived")
		}
	}
	if next.node.shipped.Load() == 0 {
		t.Error("no files were sent")
	}
}

// breaking is a stream that ends after so many bytes.
type breaking struct {
	net.Conn
	left *atomic.Int64
}

func (b breaking) Write(p []byte) (int, error) {
	if b.left.Add(int64(-len(p))) < 0 {
		b.Conn.Close()
		return 0, errors.New("broken")
	}
	return b.Conn.Write(p)
}

func TestBrokenTransferGoesOnWithoutSendingTwice(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	fill(t, lead, 21)
	c.settled()
	before := lead.node.shipped.Load()
	var streams atomic.Int64
	c.net.tamper(func(conn net.Conn) net.Conn {
		left := &atomic.Int64{}
		left.Store(400 << 10)
		streams.Add(1)
		return breaking{conn, left}
	})
	c.addNode(4)
	c.start(4)
	c.reconciled(disks(1, 2, 3, 4))
	c.settled()
	if n := streams.Load(); n < 3 {
		t.Errorf("%d streams", n)
	}
	if shipped := lead.node.shipped.Load() - before; shipped > lead.Size()+streams.Load()*(64<<10) {
		t.Errorf("%d bytes shipped of %d, in %d streams", shipped, lead.Size(), streams.Load())
	}
}

func TestAnotherLeaderGoesOnWithATransfer(t *testing.T) {
	c := newCluster(t, time.Second)
	lead := c.leader()
	fill(t, lead, 21)
	c.settled()
	before := shippedBy(c)
	for id := int32(1); id <= 3; id++ {
		c.nodes[id].Limits.ShipRate = 1 << 20
	}
	c.addNode(4)
	c.start(4)
	for _, p := range c.running() {
		if err := p.Reconcile(disks(1, 2, 3, 4)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the transfer to be under way", func() bool { return shippedBy(c)-before > 300<<10 })
	gone := lead.node.ID
	c.stop(gone)
	for id := int32(1); id <= 3; id++ {
		c.nodes[id].Limits.ShipRate = 256 << 20 // only read when a transfer begins to wait
	}
	next := c.leader()
	eventually(t, "the move to be done", func() bool { return next.Membership().Done })
	if sent := shippedBy(c) - before; sent > next.Size()+next.Size()/2 {
		t.Errorf("%d bytes sent for a log of %d", sent, next.Size())
	}
	c.start(gone)
	c.settled()
}

func shippedBy(c *cluster) (n int64) {
	for _, node := range c.nodes {
		n += node.shipped.Load()
	}
	return n
}

func TestTransferIsRefusedInALaterTerm(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	c.settled() // all three know of the leader's term
	lead := c.leader()
	follower := c.replicas[lead.node.ID%3+1]
	h := shipHeader{term: 1, group: "g-0", leader: "9/disk-9", address: "9"}
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		follower.node.Transport.ReceiveSegments(9, h.encode(), there)
	}()
	a, err := readShipAnswer(here)
	if err != nil || a.status != shipStale || a.term < uint64(lead.State().Epoch) {
		t.Errorf("answer %+v, %v", a, err)
	}
}

func TestTailThatMayBeAcknowledgedIsKept(t *testing.T) {
	p := alone(t)
	for range 10 {
		mustAppend(t, p, batchOf("x"))
	}
	in := p.inst.Load()
	last := in.log.LastIndex()
	term, err := in.log.Term(last - 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		index, term, applied uint64
		holds                bool
	}{
		{last - 2, term, 1, true},      // the same entry: what follows is kept
		{last - 2, term + 1, 1, false}, // another: what follows was never committed
		{last + 1, term, 1, false},
		{last - 2, term + 1, last, true}, // applied: nothing to gain
	} {
		if got := in.holds(&log.Checkpoint{Index: c.index, Term: c.term}, c.applied); got != c.holds {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// While a log is sent as files, more is written than is ever sent entry by entry: what was written then still goes entry
// by entry, or the follower would get files for ever.
func TestCatchingUpEndsHoweverMuchIsWrittenMeanwhile(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	fill(t, lead, 8)
	c.settled()
	away := lead.node.ID%3 + 1
	c.stop(away)
	fillMore(t, lead, 16)
	var streams atomic.Int64
	c.net.tamper(func(conn net.Conn) net.Conn {
		streams.Add(1)
		fillMore(t, lead, lead.log().Segments()+8) // four times the tail
		return conn
	})
	p := c.start(away)
	await(t, p, "it to catch up", func() bool { return streams.Load() > 0 && p.HighWatermark() == lead.HighWatermark() })
	c.settled()
	if n := streams.Load(); n != 1 {
		t.Errorf("%d transfers", n)
	}
}

func TestWhoIsFedIsLeftToTheNextTransferWhereThatIsFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f feeding
		lacks := map[uint64]int64{10: 100, 20: 200, 30: 90, 40: 10, 50: 1000}
		expect := func(what string, want uint64) {
			t.Helper()
			if got := f.from(); got != want {
				t.Fatalf("%s: fed from %d, not %d", what, got, want)
			}
		}
		begin := func() { f.begin("a", 10, 100, 20) }
		got := func(match uint64) { f.got("a", match, func(i uint64) int64 { return lacks[i] }, 20) }
		expect("nobody", math.MaxUint64)
		begin()
		f.begin("b", 15, 100, 20)
		expect("two", 10)
		got(20)
		expect("one goes on", 15)
		got(40)
		time.Sleep(stallLimit + time.Second)
		expect("one has caught up and one does not answer", math.MaxUint64)
		begin()
		got(50)
		expect("it falls behind ever more", math.MaxUint64)
	})
}
