package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quorumlog/cmd/logctl/internal/local"
	"quorumlog/log"
	"quorumlog/record"
)

func dataBatch(values ...string) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{Codec: record.Gzip})
	for _, v := range values {
		b.Add(record.Record{Timestamp: 1000, Key: []byte("k"), Value: []byte(v)})
	}
	return b.Build()
}

// partition writes a log of five entries below a data directory: a no-op, a and b in one batch,
// a no-op of another term, and c and 0xff. It returns the data directory and the segment file.
func partition(t *testing.T) (data, segment string) {
	t.Helper()
	data = t.TempDir()
	dir := filepath.Join(data, "topics", "orders-x", "0")
	l, _, err := log.Open(dir, log.Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = l.Append([]log.Entry{
		{Index: 1, Term: 1, Kind: log.KindNoop},
		{Index: 2, Term: 1, Kind: log.KindData, Data: dataBatch("a", "b")},
		{Index: 3, Term: 2, Kind: log.KindNoop},
		{Index: 4, Term: 2, Kind: log.KindData, Data: dataBatch("c")},
		{Index: 5, Term: 2, Kind: log.KindData, Data: dataBatch("\xff")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return data, filepath.Join(dir, "00000000000000000000.log")
}

func offline(t *testing.T, args ...string) result {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	return execute(t, "", append([]string{"log"}, args...)...)
}

func TestLogDumpShowsBatchesAndRecords(t *testing.T) {
	data, segment := partition(t)
	r := offline(t, "dump", data).want(statusDone).says(segment, "entry 2  offsets 0-1  epoch 1  data  2 records", "entry 4  offset 2  epoch 2")
	if strings.Contains(r.stdout, "noop") {
		t.Errorf("dumped the log's own batches:\n%s", r.stdout)
	}
	offline(t, "dump", segment, "--all").want(statusDone).says("@0  entry 1  before 0", "segment", "entry 3  before 2  epoch 2  noop")
	r = offline(t, "dump", data, "--records", "--from", "2", "-n", "1").want(statusDone).says(`2  1970-01-01T00:00:01.000Z  "k" "c"`)
	if strings.Count(r.stdout, "entry") != 1 {
		t.Errorf("dumped\n%s", r.stdout)
	}
}

func TestLogDumpAsJSONIsAnObjectALine(t *testing.T) {
	data, _ := partition(t)
	lines := strings.Split(strings.TrimSpace(offline(t, "dump", data, "--records", "-o", "json").want(statusDone).stdout), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	var b dumpedBatch
	if err := json.Unmarshal([]byte(lines[2]), &b); err != nil {
		t.Fatal(err)
	}
	if b.Index != 5 || b.BaseOffset != 3 || b.Kind != "data" || !b.CRCValid || b.Compression != "gzip" || b.ProducerID != -1 || *b.Content[0].Value != "/w==" || b.Content[0].ValueEncoding != "base64" {
		t.Errorf("dumped %+v", b)
	}
}

func TestLogVerifyAcceptsWhatIsWhole(t *testing.T) {
	data, segment := partition(t)
	for _, path := range []string{data, segment} {
		got := decode[[]verifiedPartition](offline(t, "verify", path, "-o", "json").want(statusDone))
		if len(got) != 1 || got[0].Segments != 1 || got[0].Batches != 5 || got[0].Records != 4 || got[0].StartOffset != 0 || got[0].EndOffset != 4 || got[0].Problem != nil {
			t.Errorf("verified %+v", got)
		}
	}
	offline(t, "verify", data).want(statusDone).says("ok")
}

func TestLogVerifyFindsDamage(t *testing.T) {
	_, segment := partition(t)
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	end := len(whole)
	for end > 0 && whole[end-1] == 0 {
		end--
	}
	flipped := slices.Clone(whole)
	flipped[end-5] ^= 1
	garbage := append(slices.Clone(whole[:end+1]), make([]byte, 100)...)
	garbage[end+60] = 1
	for name, content := range map[string][]byte{"a flipped bit": flipped, "a torn batch": whole[:end-5], "garbage": garbage, "no header": whole[200:]} {
		if err := os.WriteFile(segment, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r := offline(t, "verify", segment).want(statusRefused).complains("1 of 1 partition is damaged")
		if !strings.Contains(r.stdout, "damaged") || !strings.Contains(r.stdout, "at byte ") {
			t.Errorf("%s: said\n%s", name, r.stdout)
		}
		offline(t, "dump", segment).want(statusRefused).complains(segment, "at byte")
	}
}

func TestLogRepairCutsBeforeTheDamageAndSaysWhat(t *testing.T) {
	data, segment := partition(t)
	dir := filepath.Dir(segment)
	write(t, filepath.Join(data, "node.json"), "{}")
	if r := offline(t, "repair", data).want(statusDone); !strings.Contains(r.stderr, "Nothing is damaged in 1 partition") {
		t.Errorf("said %q", r.stderr)
	}
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	end := len(whole)
	for end > 0 && whole[end-1] == 0 {
		end--
	}
	whole[end-5] ^= 1 // in the last batch, which holds offset 3
	if err := os.WriteFile(segment, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	r := offline(t, "repair", data)
	if r.want(statusRefused).says(dir, "bad CRC", "at byte", "lost"); !strings.Contains(r.stderr, "Nothing was changed") {
		t.Errorf("said %q", r.stderr)
	}
	offline(t, "repair", data, "--yes").want(statusUsage).complains("--only-replica")

	held, err := local.LockFile(filepath.Join(data, ".lock"))
	if err != nil {
		t.Fatal(err)
	}
	offline(t, "repair", data, "--only-replica", "--yes").want(statusRefused).complains("a broker runs over", "stop it first")
	held.Close()

	got := decode[[]repairedPartition](offline(t, "repair", data, "--only-replica", "--yes", "-o", "json").want(statusDone))
	if len(got) != 1 || !got[0].Done || got[0].EndOffset != 3 || got[0].File != segment || got[0].Bytes == 0 {
		t.Errorf("repaired %+v", got)
	}
	verified := decode[[]verifiedPartition](offline(t, "verify", data, "-o", "json").want(statusDone))
	if verified[0].EndOffset != 3 || verified[0].Records != 3 {
		t.Errorf("verified %+v", verified)
	}
	if aside, _ := filepath.Glob(segment + ".cut-*"); len(aside) != 1 {
		t.Errorf("set aside %v", aside)
	}
	l, _, err := log.Open(dir, log.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.NextOffset() != 3 {
		t.Errorf("opened at %d", l.NextOffset())
	}
}

// abortedPartition writes a log with two aborted transactions, and their index. It returns the data
// directory and the index.
func abortedPartition(t *testing.T) (data, index string) {
	t.Helper()
	data = t.TempDir()
	dir := filepath.Join(data, "topics", "orders-x", "0")
	l, _, err := log.Open(dir, log.Options{})
	if err != nil {
		t.Fatal(err)
	}
	table := log.NewProducers(nil)
	c := log.Checkpoint{Term: 1}
	for _, id := range []int64{7, 8} {
		w := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: id}, Transactional: true})
		w.Add(record.Record{Timestamp: 1000, Value: []byte("v")})
		for _, b := range []record.Batch{w.Build(), record.AppendMarker(nil, record.Marker{ProducerID: id}, 1000)} {
			c.Index++
			if err := l.Append([]log.Entry{{Index: c.Index, Term: 1, Kind: log.KindData, Data: b}}); err != nil {
				t.Fatal(err)
			}
			if a, ok := table.Apply(b); ok {
				c.Aborted = append(c.Aborted, a)
			}
		}
	}
	if err := l.WriteCheckpoint(c); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return data, filepath.Join(dir, "00000000000000000000.txn")
}

func TestLogDumpShowsAbortedTransactions(t *testing.T) {
	data, index := abortedPartition(t)
	for _, path := range []string{data, index} {
		offline(t, "dump", path, "--aborted").want(statusDone).says(index, "@16  producer 7  offsets 0-1  last stable offset 2", "@52  producer 8  offsets 2-3")
	}
	var a dumpedAborted
	line := offline(t, "dump", data, "--aborted", "--from", "2", "-n", "1", "-o", "json").want(statusDone).stdout
	if err := json.Unmarshal([]byte(line), &a); err != nil || a != (dumpedAborted{index, 52, 8, 2, 3, 4}) {
		t.Errorf("dumped %+v, %v", a, err)
	}
	offline(t, "dump", data, "--aborted", "--records").want(statusUsage)
	if err := os.Truncate(index, 60); err != nil {
		t.Fatal(err)
	}
	offline(t, "dump", data, "--aborted").want(statusRefused).says("producer 7").complains(index + " at byte 52")
}

func TestLogRepairMakesIndexesOfAbortedTransactionsAnew(t *testing.T) {
	data, index := abortedPartition(t)
	offline(t, "verify", data).want(statusDone).says("ok")
	whole, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(whole)
	damaged[60] ^= 1
	if err := os.WriteFile(index, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	offline(t, "verify", data).want(statusRefused).says("damaged index", index, "at byte 52", "producer 8", "offset 3 is missing").complains("1 of 1 partition", "makes it anew")
	got := decode[[]verifiedPartition](offline(t, "verify", data, "-o", "json").want(statusRefused))
	if len(got) != 1 || got[0].Problem != nil || len(got[0].Indexes) != 1 {
		t.Errorf("verified %+v", got)
	}
	if r := offline(t, "repair", data).want(statusRefused).says("rebuild", index); !strings.Contains(r.stderr, "add --yes to do it") {
		t.Errorf("said %q", r.stderr)
	}
	repaired := decode[[]repairedPartition](offline(t, "repair", data, "--yes", "-o", "json").want(statusDone))
	if len(repaired) != 1 || !repaired[0].Done || repaired[0].Action != "rebuild" || repaired[0].File != index || repaired[0].Lost != 0 {
		t.Errorf("repaired %+v", repaired)
	}
	if again, err := os.ReadFile(index); err != nil || !slices.Equal(again, whole) {
		t.Errorf("made anew %x, %v\nwas %x", again, err, whole)
	}
	offline(t, "verify", data).want(statusDone).says("ok")
}

func TestLogOfNothingIsAMistake(t *testing.T) {
	offline(t, "verify", t.TempDir()).want(statusUsage).complains("no segment files")
	offline(t, "dump", "/no/such").want(statusUsage).complains("/no/such")
	offline(t, "dump", "x", "-o", "yaml").want(statusUsage).complains("yaml")
}
