package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestBenchProduceAndConsumeTellRatesAndPercentiles(t *testing.T) {
	c := newBroker(t)
	name := c.topic(3)
	got := decode[benchResult](c.ok("bench", "produce", name, "-n", "500", "--size", "50", "-o", "json"))
	if l := got.Latencies["acknowledged"]; got.Records != 500 || got.Bytes != 25000 || got.Topic != name || got.RecordsPerSecond <= 0 || l.Count != 500 || l.P50 <= 0 || l.P50 > l.P99 || l.P99 > l.Max {
		t.Errorf("measured %+v", got)
	}
	got = decode[benchResult](c.ok("bench", "consume", name, "-o", "json"))
	if got.Records != 500 || got.Bytes != 25000 || got.Latencies["fetch"].Count == 0 {
		t.Errorf("measured %+v", got)
	}
	c.ok("bench", "consume", name, "-n", "10").says("records/s", "LATENCY (ms)", "fetch")
	c.run("", "bench", "consume", c.topic(1)).want(statusRefused).complains("is empty")
}

func TestBenchLatencyIsFromEndToEndInATopicOfItsOwn(t *testing.T) {
	c := newBroker(t)
	got := decode[benchResult](c.ok("bench", "latency", "-n", "50", "--rate", "500", "-o", "json"))
	acked, arrived := got.Latencies["acknowledged"], got.Latencies["end_to_end"]
	if got.Records != 50 || acked.Count != 50 || arrived.Count != 50 || arrived.P50 <= 0 || !strings.HasPrefix(got.Topic, "logctl-bench-") {
		t.Errorf("measured %+v", got)
	}
	if topics := c.ok("topic", "list").stdout; strings.Contains(topics, got.Topic) {
		t.Errorf("left %s", topics)
	}
}

func TestBenchThatIsInterruptedShowsWhatItMeasured(t *testing.T) {
	c := newBroker(t)
	cmd := exec.Command(c.program, "-b", c.bootstrap, "bench", "produce", "-n", "1000000", "--rate", "500", "-o", "json")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	bench := ""
	for bench == "" { // until its topic holds something
		time.Sleep(50 * time.Millisecond)
		for _, x := range decode[[]listedTopic](c.ok("topic", "list", "-o", "json")) {
			if strings.HasPrefix(x.Name, "logctl-bench-") && x.Records != nil && *x.Records > 0 {
				bench = x.Name
			}
		}
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	got := decode[benchResult](result{t: t, stdout: stdout.String()})
	if cmd.ProcessState.ExitCode() != statusInterrupted || !got.Interrupted || got.Records == 0 || stderr.Len() > 0 {
		t.Errorf("status %d, %+v, %s", cmd.ProcessState.ExitCode(), got, stderr.String())
	}
	if topics := c.ok("topic", "list").stdout; strings.Contains(topics, bench) {
		t.Errorf("left %s", topics)
	}
}

func TestBenchChecksItsFlags(t *testing.T) {
	c := newFake(t)
	for _, args := range [][]string{
		{"produce", "--acks", "9"}, {"produce", "--size", "1"}, {"produce", "-n", "0"}, {"latency", "--rate", "0"}, {"latency", "--acks", "0"},
		{"consume", "t*"}, {"produce", "--rate", "-1"}, {"produce", "--partitions", "0"},
	} {
		c.run("", append([]string{"bench"}, args...)...).want(statusUsage).complains()
	}
}
