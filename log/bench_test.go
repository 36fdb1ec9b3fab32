package log

import (
	"fmt"
	"path/filepath"
	"testing"
)

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			o := testOptions()
			o.SegmentBytes = 1 << 30
			l := mustOpen(b, memoryDir(b), o)
			defer l.Close()
			batch := batchOf(1, size-80, 5)
			es := []Entry{{Index: 1, Term: 1, Kind: KindData, Data: batch}}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				batch.SetBaseOffset(unassigned)
				if err := l.Append(es); err != nil {
					b.Fatal(err)
				}
				es[0].Index++
				if es[0].Index%1000 == 0 { // stay within memory
					b.StopTimer()
					l.Sync()
					if err := l.TruncateSuffix(1); err != nil {
						b.Fatal(err)
					}
					es[0].Index = 1
					b.StartTimer()
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	l := mustOpen(b, memoryDir(b), testOptions())
	defer l.Close()
	l.SetLimits(1<<30, 0)
	m := &model{first: 1}
	for range 1000 {
		if err := l.Append([]Entry{m.add(1, KindData, batchOf(1, 1000, 5))}); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("Read", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			v, err := l.Read(int64(i%1000), 1000, 64<<10, true)
			if err != nil {
				b.Fatal(err)
			}
			v.Release()
		}
	})
	b.Run("Entry", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			_, release, err := l.Entry(uint64(i%1000) + 1)
			if err != nil {
				b.Fatal(err)
			}
			release()
		}
	})
}

// BenchmarkOpen opens partitions of four segments with a checkpoint.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	o := testOptions()
	const partitions = 100
	path := func(i int) string { return filepath.Join(dir, fmt.Sprint(i%partitions)) }
	for i := range partitions {
		l := mustOpen(b, path(i), o)
		m := &model{first: 1}
		for range 15 {
			if err := l.Append([]Entry{m.add(1, KindData, batchOf(1, 1000, 5))}); err != nil {
				b.Fatal(err)
			}
		}
		if err := l.WriteCheckpoint(Checkpoint{Index: 15}); err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l, _, err := Open(path(i), o)
		if err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
}
