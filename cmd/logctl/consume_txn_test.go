package main

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// transact writes values to topic in one transaction and ends it as told; nil leaves it open.
func (c *broker) transact(topic string, commit *bool, values ...string) {
	c.t.Helper()
	id := c.name()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(c.bootstrap, ",")...), kgo.TransactionalID(id), kgo.DefaultProduceTopic(topic))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	if err := cl.BeginTransaction(); err != nil {
		c.t.Fatal(err)
	}
	for _, v := range values {
		if err := cl.ProduceSync(c.t.Context(), kgo.StringRecord(v)).FirstErr(); err != nil {
			c.t.Fatal(err)
		}
	}
	if commit == nil {
		return
	}
	if err := cl.EndTransaction(c.t.Context(), kgo.TransactionEndTry(*commit)); err != nil {
		c.t.Fatal(err)
	}
	c.completed(id)
}

func TestConsumeLeavesOutWhatIsNotCommittedAndStillFindsTheEnd(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	yes, no := true, false
	c.transact(name, &yes, "a")
	c.transact(name, &no, "b")
	begun := time.Now()
	if got := c.ok("consume", name).stdout; got != "a\n" {
		t.Errorf("read %q", got)
	}
	c.transact(name, nil, "c")
	if got := c.ok("consume", name).stdout; got != "a\n" {
		t.Errorf("read %q beside an open transaction", got)
	}
	if got := c.ok("consume", name, "--uncommitted").stdout; got != "a\nb\nc\n" {
		t.Errorf("read %q with --uncommitted", got)
	}
	if took := time.Since(begun); took > idleLimit {
		t.Errorf("took %v: an end was not seen", took)
	}
}
