package broker

import (
	"sync/atomic"
	"testing"
	"time"

	"quorumlog/record"
)

func TestATransactionThatNobodyEndsIsCounted(t *testing.T) {
	b := newTestBroker(t, nil)
	begin, later := time.Now(), atomic.Int64{}
	b.cfg.Now = func() time.Time { return begin.Add(time.Duration(later.Load())) }
	b.start()
	t.Cleanup(b.stop)
	b.topic("t", 2, nil)
	for id := range int32(2) {
		w := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: 7}, Transactional: true})
		w.Add(record.Record{Timestamp: begin.Add(-time.Duration(id) * time.Minute).UnixMilli()})
		b.begin("t", id, w.Build())
	}
	b.write("t", "waits")
	after := func(d time.Duration) partitionTotals {
		t.Helper()
		later.Add(int64(d))
		var sum partitionTotals
		for id := range int32(2) {
			sum.addTransactions(b.Broker, b.partition("t", id).Transactions())
		}
		return sum
	}
	if got := after(0); got.openTxns != 2 || got.lateTxns != 0 || got.stableLag != 3 {
		t.Errorf("%d open, %d late, %d behind", got.openTxns, got.lateTxns, got.stableLag)
	}
	if got := after(20 * time.Minute); got.openTxns != 2 || got.lateTxns != 1 {
		t.Errorf("%d open, %d late after 15 minutes of timeout and 5 more", got.openTxns, got.lateTxns)
	}
	b.finish("t", 1, record.Marker{ProducerID: 7, ProducerEpoch: 1})
	if got := after(0); got.openTxns != 1 || got.lateTxns != 0 {
		t.Errorf("%d open, %d late after the end of one", got.openTxns, got.lateTxns)
	}
}
