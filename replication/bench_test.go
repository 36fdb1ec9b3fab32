package replication

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"quorumlog/record"
)

// BenchmarkOpen opens a node's 1,000 partitions, as after a kill, until it leads all of them.
func BenchmarkOpen(b *testing.B) {
	const partitions, openers = 1000, 32
	dir := b.TempDir()
	run := func(stopped bool) (opened, leading, cpu time.Duration) {
		stable, err := OpenStableStore(filepath.Join(dir, "raft.db"))
		if err != nil {
			b.Fatal(err)
		}
		n := &Node{ID: 1, Identity: "disk-1", Stable: stable, Transport: NewTransport(1)}
		all := make([]*Partition, partitions)
		wake := make(chan struct{}, 1)
		start, used := time.Now(), cpuTime()
		var wg sync.WaitGroup
		for k := range openers {
			wg.Go(func() {
				for i := k; i < partitions; i += openers {
					p, err := n.OpenPartition(PartitionConfig{Group: fmt.Sprint("g-", i), Dir: filepath.Join(dir, fmt.Sprint("p", i)), Voters: disks(1)})
					if err != nil {
						b.Error(err)
						return
					}
					p.Watch(wake)
					all[i] = p
				}
			})
		}
		wg.Wait()
		opened = time.Since(start)
		for _, p := range all {
			for !p.State().Leading {
				<-wake
			}
		}
		leading, cpu = time.Since(start), cpuTime()-used
		b.StopTimer()
		if !stopped {
			for _, p := range all {
				for range 20 {
					p.Append(batchOf("x"))
				}
			}
		}
		for _, p := range all {
			wg.Go(func() {
				if stopped {
					p.due.index = p.machine.appliedIndex() // a kill writes no checkpoint
				}
				p.Close()
			})
		}
		wg.Wait()
		n.Close()
		stable.Close()
		b.StartTimer()
		return opened, leading, cpu
	}
	run(false)
	b.ResetTimer()
	var opened, leading, cpu time.Duration
	for range b.N {
		o, l, c := run(true)
		opened, leading, cpu = opened+o, leading+l, cpu+c
	}
	for unit, d := range map[string]time.Duration{"ms-opened": opened, "ms-leading": leading, "ms-cpu": cpu} {
		b.ReportMetric(float64(d.Milliseconds())/float64(b.N), unit)
	}
}

// BenchmarkAppend measures proposals until they are committed on a group of one.
func BenchmarkAppend(b *testing.B) {
	for _, partitions := range []int{1, 6} {
		for _, size := range []int{1 << 10, 64 << 10} {
			for _, inflight := range []int{1, 16, 128} {
				b.Run(fmt.Sprintf("partitions=%d/size=%d/inflight=%d", partitions, size, inflight), func(b *testing.B) {
					benchAppend(b, partitions, size, inflight)
				})
			}
		}
	}
}

func benchAppend(b *testing.B, partitions, size, inflight int) {
	dir := b.TempDir()
	n := newNode(b, dir, 1)
	var all []*Partition
	for i := range partitions {
		p, err := n.OpenPartition(PartitionConfig{Group: fmt.Sprint("g-", i), Dir: filepath.Join(dir, fmt.Sprint("p", i)), Voters: disks(1), SegmentBytes: 64 << 20})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		awaitLeading(b, p)
		all = append(all, p)
	}
	pattern := batchOf(string(make([]byte, size-80)))
	b.SetBytes(int64(len(pattern)))
	b.ReportAllocs()
	b.ResetTimer()
	cpu := cpuTime()
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { appendMany(b, p, pattern, b.N/partitions+min(1, b.N%partitions-i), inflight) })
	}
	wg.Wait()
	gb := float64(len(pattern)) * float64(b.N) / 1e9
	b.ReportMetric((cpuTime()-cpu).Seconds()/gb, "cpu-s/GB")
	b.StopTimer()
	for _, p := range all {
		p.Close()
	}
}

// appendMany keeps so many batches in flight, and uses their memory again.
func appendMany(b *testing.B, p *Partition, pattern record.Batch, count, inflight int) {
	window := make([]*Append, inflight)
	buffers := make([]record.Batch, inflight)
	for i := range max(count, 0) + inflight {
		k := i % inflight
		if a := window[k]; a != nil {
			<-a.Done()
			if _, err := a.Result(); err != nil {
				b.Error(err)
				return
			}
			window[k] = nil
		}
		if i >= count {
			continue
		}
		if buffers[k] == nil {
			buffers[k] = bytes.Clone(pattern)
		}
		window[k] = p.Append(buffers[k])
	}
}

// cpuTime is what the process has used, user and system.
func cpuTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
