package main

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quorumlog/record"
)

func dataBatch(base int64, epoch int32, values ...string) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{Codec: record.Gzip})
	for i, v := range values {
		b.Add(record.Record{Offset: int64(i), Timestamp: 1000, Key: []byte("k"), Value: []byte(v)})
	}
	out := b.Build()
	out.SetBaseOffset(base)
	out.SetLeaderEpoch(epoch)
	return out
}

// hiddenBatch is like an entry of the log's own, which occupies no offset.
func hiddenBatch(base int64, epoch int32) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{Control: true})
	b.Add(record.Record{Key: []byte{0, 0, 0, 102}})
	out := b.Build()
	binary.BigEndian.PutUint32(out[23:], 0xffffffff)
	binary.BigEndian.PutUint32(out[17:], record.Checksum(out[21:]))
	out.SetBaseOffset(base)
	out.SetLeaderEpoch(epoch)
	return out
}

// segment writes a segment file with the given content.
func segment(t *testing.T, content ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "00000000000000000000.log")
	if err := os.WriteFile(path, slices.Concat(content...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func offline(t *testing.T, args ...string) result {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	return execute(t, "", append([]string{"log"}, args...)...)
}

func TestLogDumpShowsBatchesAndRecords(t *testing.T) {
	path := segment(t, hiddenBatch(0, 1), dataBatch(0, 1, "a", "b"), dataBatch(2, 2, "c"), make([]byte, 64))
	out := offline(t, "dump", path).want(statusDone).stdout
	if strings.Contains(out, "no-op") || !strings.Contains(out, "offsets 0-1  epoch 1  data  2 records") || !strings.Contains(out, "offset 2  epoch 2") {
		t.Errorf("dumped\n%s", out)
	}
	offline(t, "dump", path, "--all").want(statusDone).says("@0  before 0  epoch 1  no-op")
	offline(t, "dump", path, "--records", "--from", "2").want(statusDone).says(`2  1970-01-01T00:00:01.000Z  "k" "c"`)
}

func TestLogDumpAsJSONIsAnObjectALine(t *testing.T) {
	path := segment(t, dataBatch(0, 1, "a", "b"), dataBatch(2, 2, "\xff"))
	lines := strings.Split(strings.TrimSpace(offline(t, "dump", path, "--records", "-o", "json").want(statusDone).stdout), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	var b dumpedBatch
	if err := json.Unmarshal([]byte(lines[1]), &b); err != nil {
		t.Fatal(err)
	}
	if b.BaseOffset != 2 || b.Kind != "data" || !b.CRCValid || b.Compression != "gzip" || b.ProducerID != -1 || *b.Content[0].Value != "/w==" || b.Content[0].ValueEncoding != "base64" {
		t.Errorf("dumped %+v", b)
	}
}

func TestLogVerifyAcceptsWhatIsWhole(t *testing.T) {
	path := segment(t, hiddenBatch(0, 1), dataBatch(0, 1, "a", "b"), hiddenBatch(2, 2), dataBatch(5, 2, "c"), make([]byte, 64))
	got := decode[[]verifiedFile](offline(t, "verify", path, "-o", "json").want(statusDone))
	if len(got) != 1 || got[0].Batches != 4 || got[0].Records != 3 || got[0].EndOffset != 6 || len(got[0].Problems) != 0 {
		t.Errorf("verified %+v", got)
	}
}

func TestLogVerifyFindsEveryByteThatWasChanged(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	whole := slices.Concat(dataBatch(0, 1, "a", "b"), dataBatch(2, 1, "c"))
	for i := range whole {
		changed := slices.Clone(whole)
		changed[i] ^= 0x40
		path := segment(t, changed)
		status := execute(t, "", "log", "verify", path).status
		if free := outsideCRC(i, len(dataBatch(0, 1, "a", "b"))); status != statusRefused && !free {
			t.Errorf("byte %d changed: status %d", i, status)
		}
	}
}

// outsideCRC is true for a byte of an offset or an epoch, which the checksum leaves out: a change
// upwards there looks like a gap or an election.
func outsideCRC(i, second int) bool {
	if i >= second {
		i -= second
	}
	return i < 8 || i >= 12 && i < 16
}

func TestLogVerifyNamesWhatIsWrong(t *testing.T) {
	a, b := dataBatch(0, 2, "a", "b"), dataBatch(2, 2, "c")
	bad := slices.Clone(b)
	bad[len(bad)-1] ^= 1
	for want, content := range map[string][][]byte{
		"checksum of the batch at offset 2": {a, bad},
		"offset 0 comes after 1":            {a, a},
		"epoch 1 comes after 2":             {a, dataBatch(2, 1, "c")},
		"the last batch is not whole":       {a, b[:40]},
		"neither a batch nor empty space":   {a, make([]byte, 50), []byte("x")},
	} {
		r := offline(t, "verify", segment(t, content...)).want(statusRefused).complains("1 of 1 file is damaged")
		r.says(want)
	}
}

func TestLogVerifyFollowsAPartitionFromFileToFile(t *testing.T) {
	dir := t.TempDir()
	for name, b := range map[string]record.Batch{"00000000000000000000.log": dataBatch(0, 1, "a", "b"), "00000000000000000001.log": dataBatch(1, 1, "b")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	offline(t, "verify", dir).want(statusRefused).says("named 1, but the one before ends at offset 2")
}

func TestLogOfNothingIsAMistake(t *testing.T) {
	offline(t, "verify", t.TempDir()).want(statusUsage).complains("no segment files")
	offline(t, "dump", "/no/such").want(statusUsage).complains("/no/such")
	offline(t, "dump", "x", "-o", "yaml").want(statusUsage).complains("yaml")
}
