package txn

import (
	"context"
	"fmt"
	"quorumlog/internal/shards/shardstest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// memMarkers is the partitions of transactions. Markers are written at once, unless held.
type memMarkers struct {
	mu      sync.Mutex
	held    bool
	waiting []func()
	written []Ended
}

func (m *memMarkers) Write(ctx context.Context, e Ended, written func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	do := func() {
		if ctx.Err() != nil {
			return
		}
		m.mu.Lock()
		m.written = append(m.written, e)
		m.mu.Unlock()
		written()
	}
	if m.held {
		m.waiting = append(m.waiting, do)
		return
	}
	go do()
}

func (m *memMarkers) hold() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = true
}

func (m *memMarkers) release() {
	m.mu.Lock()
	waiting := m.waiting
	m.held, m.waiting = false, nil
	m.mu.Unlock()
	for _, do := range waiting {
		do()
	}
}

// node is a coordinator of one partition, with what it stands upon.
type node struct {
	*Coordinator
	t       *testing.T
	log     *shardstest.Log
	markers *memMarkers
	ids     int64
	term    int32 // of the leadership
	sender  Sender
}

// run calls f with a coordinator in a bubble of its own.
func run(t *testing.T, f func(n *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &node{t: t, log: &shardstest.Log{}, markers: &memMarkers{}, ids: 1000, term: 4}
		n.Coordinator = New(Options{
			PartitionFor: func(string) int32 { return 0 },
			ProducerID:   func(context.Context) (int64, error) { n.ids++; return n.ids, nil },
			Markers:      n.markers,
		})
		n.elect()
		f(n)
		n.Close()
		synctest.Wait()
	})
}

// elect makes the node lead anew, as after an election.
func (n *node) elect() {
	n.term++
	n.Lead(0, n.term, n.log)
	synctest.Wait()
	n.sender = Sender{Conn: uint64(n.term) * 100}
	time.Sleep(time.Millisecond)
	n.sender.Opened = time.Now()
}

// producer is who has an id, as it knows itself.
type producer struct {
	*node
	id string
	identity
	v2     bool
	sender Sender
}

func (n *node) producer(id string, v2 bool) *producer {
	n.t.Helper()
	p := &producer{node: n, id: id, identity: identity{noID, noEpoch}, v2: v2, sender: n.sender}
	if code := p.init(); code != none {
		n.t.Fatalf("InitProducerID: %d", code)
	}
	return p
}

// init asks for an identity as anybody may.
func (p *producer) init() int16 { return p.initAs(identity{noID, noEpoch}) }

func (p *producer) initAs(given identity) int16 {
	req, resp := kmsg.NewPtrInitProducerIDRequest(), kmsg.NewPtrInitProducerIDResponse()
	req.SetVersion(5)
	req.TransactionalID, req.TransactionTimeoutMillis = &p.id, 60_000
	req.ProducerID, req.ProducerEpoch = given.producerID, given.epoch
	p.InitProducerID(p.t.Context(), req, resp)
	if resp.ErrorCode == none {
		p.identity = identity{resp.ProducerID, resp.ProducerEpoch}
	}
	return resp.ErrorCode
}

// add adds partitions of topic "t", as a client of the producer's version has it done.
func (p *producer) add(partitions ...int32) int16 {
	req, resp := kmsg.NewPtrAddPartitionsToTxnRequest(), kmsg.NewPtrAddPartitionsToTxnResponse()
	if p.v2 {
		return p.ask(false, partitions...)
	}
	req.SetVersion(3)
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.id, p.producerID, p.epoch
	req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "t", Partitions: partitions}}
	p.AddPartitionsToTxn(p.t.Context(), p.sender, req, resp)
	return resp.Topics[0].Partitions[0].ErrorCode
}

// ask is what a broker asks about a partition.
func (p *producer) ask(verify bool, partitions ...int32) int16 {
	req, resp := kmsg.NewPtrAddPartitionsToTxnRequest(), kmsg.NewPtrAddPartitionsToTxnResponse()
	req.SetVersion(5)
	tx := kmsg.NewAddPartitionsToTxnRequestTransaction()
	tx.TransactionalID, tx.ProducerID, tx.ProducerEpoch, tx.VerifyOnly = p.id, p.producerID, p.epoch, verify
	tx.Topics = []kmsg.AddPartitionsToTxnRequestTransactionTopic{{Topic: "t", Partitions: partitions}}
	req.Transactions = append(req.Transactions, tx)
	p.AddPartitionsToTxn(p.t.Context(), Sender{}, req, resp)
	return resp.Transactions[0].Topics[0].Partitions[0].ErrorCode
}

func (p *producer) finish(commit bool) int16 {
	code, _ := p.finishAs(p.identity, p.v2, commit)
	return code
}

// finishAs sends an EndTxn with another identity or version. ok is false where the connection would
// have been closed.
func (p *producer) finishAs(i identity, v2, commit bool) (code int16, ok bool) {
	req, resp := kmsg.NewPtrEndTxnRequest(), kmsg.NewPtrEndTxnResponse()
	req.SetVersion(4)
	if v2 {
		req.SetVersion(5)
	}
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = p.id, i.producerID, i.epoch, commit
	ok = p.EndTxn(p.t.Context(), p.sender, req, resp)
	if ok && resp.ErrorCode == none && v2 {
		p.identity = identity{resp.ProducerID, resp.ProducerEpoch}
	}
	return resp.ErrorCode, ok
}

// describe is the state of an id and its partitions.
func (n *node) describe(id string) string {
	req, resp := kmsg.NewPtrDescribeTransactionsRequest(), kmsg.NewPtrDescribeTransactionsResponse()
	req.TransactionalIDs = []string{id}
	n.DescribeTransactions(req, resp)
	r := resp.TransactionStates[0]
	if r.ErrorCode != none {
		return fmt.Sprintf("error %d", r.ErrorCode)
	}
	out := r.State
	for _, t := range r.Topics {
		out += fmt.Sprint(" ", t.Topic, t.Partitions)
	}
	return out
}

// want fails the test where an answer is another one.
func (n *node) want(what string, got, want int16) {
	n.t.Helper()
	if got != want {
		n.t.Errorf("%s: answered %d, want %d", what, got, want)
	}
}

func (n *node) wantState(id, want string) {
	n.t.Helper()
	synctest.Wait()
	if got := n.describe(id); got != want {
		n.t.Errorf("%s is %q, want %q", id, got, want)
	}
}
