package replication

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"quorumlog/log"
	"quorumlog/record"
)

// crashDir, in the environment, turns the test binary into a process that writes there until it
// is killed.
const crashDir = "REPLICATION_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// crashProducer writes one record a batch with the value of its sequence number.
const crashProducer = 77

// writeUntilKilled appends, five in flight, and prints every acknowledged sequence number.
// Checkpoints come at random; small segments roll all the time.
func writeUntilKilled(dir string) error {
	stable, err := OpenStableStore(filepath.Join(dir, "raft.db"))
	if err != nil {
		return err
	}
	n := &Node{ID: 1, Identity: "disk-1", Stable: stable, Transport: NewTransport(1)}
	p, err := n.OpenPartition(PartitionConfig{Group: "g-0", Dir: filepath.Join(dir, "p"), Voters: disks(1), SegmentBytes: 32 << 10})
	if err != nil {
		return err
	}
	for !p.State().Leading {
		time.Sleep(time.Millisecond)
	}
	var window []*Append
	for seq := int(p.HighWatermark()); ; seq++ {
		window = append(window, p.Append(idempotentBatch(crashProducer, 0, int32(seq), strconv.Itoa(seq))))
		if len(window) < 5 {
			continue
		}
		<-window[0].Done()
		if _, err := window[0].Result(); err != nil {
			return err
		}
		fmt.Println(seq - 4)
		window = window[1:]
		if rand.IntN(100) == 0 {
			if err := p.Checkpoint(); err != nil {
				return err
			}
		}
	}
}

// killedWriter runs a writer, kills it after some acknowledgements, and returns the last one.
func killedWriter(t *testing.T, dir string, acks int) int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	last := -1
	for lines := bufio.NewScanner(out); lines.Scan(); acks-- {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if acks == 0 {
			cmd.Process.Kill() // what it still prints was acknowledged before it died
		}
	}
	cmd.Wait()
	return last
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for range 5 {
		last := killedWriter(t, dir, rnd.IntN(800))
		checkAfterKill(t, dir, last)
	}
}

func checkAfterKill(t *testing.T, dir string, last int) {
	t.Helper()
	n := newNode(t, dir, 1)
	defer n.Stable.Close()
	p := open(t, n, filepath.Join(dir, "p"))
	defer p.Close()
	awaitLeading(t, p)
	got := values(t, p)
	if len(got) <= last {
		t.Fatalf("%d records, %d was acknowledged", len(got), last)
	}
	for i, v := range got {
		if v != strconv.Itoa(i) {
			t.Fatalf("record %d is %s", i, v)
		}
	}
	if want := replayed(t, p); !reflect.DeepEqual(p.Producers(), want) {
		t.Errorf("checkpoint and tail give\n%+v, the whole log\n%+v", p.Producers(), want)
	}
	for seq := max(0, len(got)-5); seq < len(got); seq++ {
		if r := mustAppend(t, p, idempotentBatch(crashProducer, 0, int32(seq), strconv.Itoa(seq))); !r.Duplicate || r.BaseOffset != int64(seq) {
			t.Errorf("repeated batch %d: %+v", seq, r)
		}
	}
}

// replayed is the producer table that the log's batches make.
func replayed(t *testing.T, p *Partition) []log.ProducerState {
	t.Helper()
	table := log.NewProducers(nil)
	err := p.Batches(p.StartOffset(), p.HighWatermark(), func(b record.Batch) bool {
		table.Apply(b)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return table.Snapshot()
}

func TestProducersOfCheckpointAndTailEqualThoseOfTheWholeLog(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	p := alone(t)
	next, epochs := map[int64]int32{}, map[int64]int16{}
	for range 6 {
		for range 60 {
			id := int64(rnd.IntN(8))
			if rnd.IntN(10) == 0 {
				epochs[id]++
				next[id] = 0
			}
			values := make([]string, 1+rnd.IntN(3))
			mustAppend(t, p, idempotentBatch(id, epochs[id], next[id], values...))
			next[id] += int32(len(values))
			if rnd.IntN(25) == 0 {
				if err := p.Checkpoint(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if rnd.IntN(2) == 0 {
			p.due.index, p.due.start = p.machine.appliedIndex(), p.StartOffset() // Close finds nothing to write
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p = open(t, p.node, p.Dir())
		awaitLeading(t, p)
		if want := replayed(t, p); !reflect.DeepEqual(p.Producers(), want) {
			t.Fatalf("checkpoint and tail give\n%+v, the whole log\n%+v", p.Producers(), want)
		}
	}
}

func TestDueCheckpointIsWrittenInTheBackground(t *testing.T) {
	for name, s := range map[string]CheckpointSchedule{
		"by size": {Bytes: 100, Every: time.Hour},
		"by time": {Bytes: 1 << 40, Every: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			n := newNode(t, dir, 1)
			n.Schedule = s
			p := open(t, n, filepath.Join(dir, "p"))
			awaitLeading(t, p)
			mustAppend(t, p, batchOf("more than a hundred bytes with the header of a batch, which alone takes sixty-one"))
			for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
				if _, err := os.Stat(filepath.Join(p.Dir(), "checkpoint")); err == nil {
					return
				}
				if time.Now().After(deadline) {
					t.Fatal("no checkpoint")
				}
			}
		})
	}
}
