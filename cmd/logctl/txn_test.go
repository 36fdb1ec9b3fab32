package main

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// began begins a transaction that writes a value to topic, and leaves it open until the test ends.
func (c *broker) began(topic string) (id string, cl *kgo.Client) {
	c.t.Helper()
	id = c.name()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(c.bootstrap, ",")...), kgo.TransactionalID(id), kgo.DefaultProduceTopic(topic))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	if err := cl.BeginTransaction(); err != nil {
		c.t.Fatal(err)
	}
	if err := cl.ProduceSync(c.t.Context(), kgo.StringRecord("open")).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
	return id, cl
}

// completed returns a transaction once its markers are written: the end of one is answered when it
// is decided.
func (c *broker) completed(id string) describedTransaction {
	c.t.Helper()
	for begun := time.Now(); ; {
		d := decode[[]describedTransaction](c.ok("txn", "describe", id, "-o", "json"))[0]
		if !strings.HasPrefix(d.State, "Prepare") || time.Since(begun) > 20*time.Second {
			return d
		}
	}
}

func TestTxnListAndDescribeShowWhatIsOpen(t *testing.T) {
	c := newBroker(t)
	topic := c.topic(1)
	id, cl := c.began(topic)
	got := decode[[]listedTransaction](c.ok("txn", "list", id, "-o", "json"))
	if len(got) != 1 || got[0].ID != id || got[0].State != "Ongoing" {
		t.Errorf("listed %+v", got)
	}
	c.ok("txn", "list", id, "--state", "Ongoing").shows("TRANSACTIONAL ID PRODUCER STATE COORDINATOR", id+" * Ongoing *")
	described := decode[[]describedTransaction](c.ok("txn", "describe", id, "-o", "json"))
	if d := described[0]; d.State != "Ongoing" || d.Started == nil || len(d.Partitions) != 1 || d.Partitions[0].Topic != topic || d.ProducerID != got[0].ProducerID {
		t.Errorf("described %+v", described)
	}
	c.ok("txn", "describe", id).says("Ongoing", topic+":0")
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if d := c.completed(id); d.State != "CompleteCommit" || d.Started != nil || len(d.Partitions) != 0 {
		t.Errorf("described %+v", d)
	}
	c.run("", "txn", "list", "--state", "Ongong").want(statusUsage).complains(`did you mean "Ongoing"`)
	c.run("", "txn", "describe", "none").want(statusRefused).complains(`"none"`)
}

func TestTxnHangingLeavesAloneWhatACoordinatorKnows(t *testing.T) {
	c := newBroker(t)
	topic := c.topic(1)
	c.began(topic)
	if r := c.ok("txn", "hanging", topic, "--older-than", "0s"); r.stdout != "" || r.stderr == "" {
		t.Errorf("said %q, %q", r.stdout, r.stderr)
	}
	if got := c.ok("txn", "hanging", topic, "-o", "json").stdout; got != "[]\n" {
		t.Errorf("found %s", got)
	}
}

func TestTxnAbortEndsWhatBeginsThere(t *testing.T) {
	c := newBroker(t)
	topic := c.topic(1)
	c.began(topic)
	c.run("", "txn", "abort", topic+":0", "--start-offset", "5", "--yes").want(statusRefused).complains("offset 5", "some at 0")
	c.run("", "txn", "abort", topic+":0", "--start-offset", "0").want(statusUsage).complains("--yes")
	c.ok("txn", "abort", topic+":0", "--start-offset", "0", "--dry-run").says("would be aborted")
	if got := decode[abortedTransaction](c.ok("txn", "abort", topic+":0", "--start-offset", "0", "--yes", "-o", "json")); !got.Aborted || got.StartOffset != 0 {
		t.Errorf("aborted %+v", got)
	}
	c.run("", "txn", "abort", topic+":0", "--start-offset", "0", "--yes").want(statusRefused).complains("offset 0")
	if got := c.ok("consume", topic).stdout; got != "" {
		t.Errorf("read %q", got)
	}
	c.run("", "txn", "abort", topic).want(statusUsage).complains("TOPIC:PARTITION")
	c.run("", "txn", "abort", topic+":0").want(statusUsage).complains("--start-offset")
	c.run("", "txn", "abort", topic+":3", "--start-offset", "0").want(statusRefused).complains("no partition 3")
}

func TestProducersAreAskedForOnce(t *testing.T) {
	got := producersOf([]kadm.DescribedProducer{{ProducerID: 3}, {ProducerID: 1}, {ProducerID: 3}})
	if len(got) != 2 || got[0] != 1 || got[1] != 3 {
		t.Errorf("ids %v", got)
	}
}
