package main

import (
	"strings"
	"testing"
)

func TestProduceSaysWhereRecordsWent(t *testing.T) {
	c := newBroker(t)
	name := c.topic(2)
	got := decode[[]writtenPartition](c.run("one\ntwo\nthree\n", "produce", name, "-p", "1", "-o", "json").want(statusDone))
	if len(got) != 1 || got[0] != (writtenPartition{name, 1, 3, 11, 0, 2}) {
		t.Errorf("wrote %+v", got)
	}
	got = decode[[]writtenPartition](c.run("four", "produce", name, "-p", "1", "-o", "json").want(statusDone))
	if len(got) != 1 || got[0].FirstOffset != 3 || got[0].LastOffset != 3 {
		t.Errorf("wrote %+v", got)
	}
}

func TestProduceKeepsKeysHeadersAndTimes(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.run("k:v\n", "produce", name, "-K", ":", "-H", "a=1", "-H", "b=x=y", "--timestamp", "@1322728320000", "--acks", "1", "--compression", "gzip").want(statusDone)
	if got, want := c.ok("consume", name, "--format", `%k %s %h %T\n`).stdout, "k v a=1,b=x=y 1322728320000\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProduceReadsCSVFiles(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	in := file(t, "InvoiceNo,Description\n536365,\"MUG, RED\"\n536366,BOX\n")
	c.ok("produce", name, "--format", "csv", "--key-column", "InvoiceNo", in).says("2", name)
	want := `536365 {"InvoiceNo":"536365","Description":"MUG, RED"}` + "\n" + `536366 {"InvoiceNo":"536366","Description":"BOX"}` + "\n"
	if got := c.ok("consume", name, "--format", `%k %s\n`).stdout; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProduceTakesWhatConsumeWrote(t *testing.T) {
	c := newBroker(t)
	from, to := c.topic(1), c.topic(1)
	c.run("\xff\xfe:\x80\n:\nk:v\n", "produce", from, "-K", ":", "-Z", "-H", "h=\x90").want(statusDone)
	wrote := c.ok("consume", from, "-o", "json").stdout
	c.run(wrote, "produce", to, "--format", "json").want(statusDone)
	again := c.ok("consume", to, "-o", "json").stdout
	if got := strings.ReplaceAll(again, to, from); got != wrote {
		t.Errorf("got\n%swant\n%s", got, wrote)
	}
}

func TestProduceNamesTheLineThatIsWrong(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	r := c.run("a:1\nb\n", "produce", name, "-K", ":").want(statusUsage).complains("standard input, line 2", "separator")
	r.says("1  ") // the first was written, and is told of
	c.run("", "produce", name, "nofile").want(statusUsage).complains("nofile")
}

func TestProduceRefusesARecordThatIsTooLarge(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1, "--config", "max.message.bytes=10000")
	c.run("small\n"+strings.Repeat("x", 20000)+"\n", "produce", name).want(statusRefused).complains("record 2 of standard input", "max.message.bytes")
}

func TestProduceChecksItsFlags(t *testing.T) {
	c := newFake(t)
	for _, args := range [][]string{
		{"--acks", "2"}, {"--compression", "rar"}, {"--format", "xml"}, {"-k", "a", "-K", ":"}, {"--timestamp", "later"},
		{"-H", "novalue"}, {"-K", `\q`}, {"--key-column", "a"}, {"-p", "-2"},
	} {
		c.run("", append([]string{"produce", "t"}, args...)...).want(statusUsage).complains()
	}
	c.run("a\n", "produce", "absent").want(statusRefused).complains("absent", "does not exist")
}
