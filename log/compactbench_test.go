package log

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"quorumlog/record"
)

// BenchmarkCompact compacts records of 1 KiB over 100,000 keys, in batches of 16: so many MiB as
// COMPACT_MB says, 256 where it says nothing. It reports the input in a second, and how much larger
// the heap was at its largest.
func BenchmarkCompact(b *testing.B) {
	mib, err := strconv.ParseInt(os.Getenv("COMPACT_MB"), 10, 64)
	if err != nil {
		mib = 256
	}
	dir := b.TempDir()
	o := testOptions()
	o.Files, o.SegmentBytes = nil, 128<<20
	fillCompactable(b, filepath.Join(dir, "from"), o, mib<<20)
	var peak uint64
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		to := filepath.Join(dir, fmt.Sprint(i))
		linkAll(b, filepath.Join(dir, "from"), to)
		l := mustOpen(b, to, o)
		runtime.GC()
		stop, largest := watchHeap()
		b.StartTimer()
		done, err := l.Compact(Compaction{Limit: l.NextOffset(), DeleteRetention: 1000, MapBytes: 128 << 20})
		b.StopTimer()
		close(stop)
		peak = max(peak, <-largest)
		if err != nil || done.More {
			b.Fatal(done, err)
		}
		b.SetBytes(mib << 20)
		b.ReportMetric(float64(l.Size())/(1<<20), "MiB-left")
		l.Close()
		os.RemoveAll(to)
		b.StartTimer()
	}
	b.ReportMetric(float64(peak)/(1<<20), "heap-MiB")
}

// fillCompactable writes so many bytes, and a checkpoint.
func fillCompactable(b *testing.B, dir string, o Options, size int64) {
	b.Helper()
	l := mustOpen(b, dir, o)
	rnd := rand.New(rand.NewPCG(1, 2))
	value := bytes.Repeat([]byte("0123456789abcdef"), 62)
	index := uint64(0)
	for l.Size() < size {
		w := record.NewBuilder(record.BuilderOptions{})
		for range 16 {
			w.Add(record.Record{Timestamp: 1_700_000_000_000, Key: fmt.Appendf(nil, "key-%012d", rnd.IntN(100_000)), Value: value})
		}
		index++
		if err := l.Append([]Entry{{Index: index, Term: 1, Kind: KindData, Data: unnumbered(w.Build())}}); err != nil {
			b.Fatal(err)
		}
		if index%512 == 0 {
			if err := l.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := l.WriteCheckpoint(Checkpoint{Index: index, Term: 1}); err != nil {
		b.Fatal(err)
	}
	l.Close()
}

func unnumbered(b record.Batch) record.Batch {
	b.SetBaseOffset(unassigned)
	return b
}

// linkAll makes a directory of the same files: compaction changes none of them.
func linkAll(b *testing.B, from, to string) {
	b.Helper()
	files, err := os.ReadDir(from)
	if err == nil {
		err = os.Mkdir(to, 0o755)
	}
	for _, f := range files {
		if err == nil {
			err = os.Link(filepath.Join(from, f.Name()), filepath.Join(to, f.Name()))
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

// watchHeap looks every few milliseconds how much the heap has grown, until stop is closed.
func watchHeap() (stop chan struct{}, largest chan uint64) {
	stop, largest = make(chan struct{}), make(chan uint64, 1)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before := m.HeapInuse
	go func() {
		most := uint64(0)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse-min(before, m.HeapInuse))
			select {
			case <-tick.C:
			case <-stop:
				largest <- most
				return
			}
		}
	}()
	return stop, largest
}
