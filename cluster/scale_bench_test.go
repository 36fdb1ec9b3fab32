package cluster

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"
)

// The cluster of BenchmarkScale: 2,000 topics of 100 partitions with three replicas each, on 100 brokers in
// 10 racks.
const (
	scaleBrokers, scaleRacks              = 100, 10
	scaleTopics, scalePartitions, scaleRF = 2000, 100, 3
)

func scaleImage(b *testing.B) (i *Image, entries [][]byte) {
	var racks []string
	for r := range scaleRacks {
		racks = append(racks, fmt.Sprint("rack-", r))
	}
	i = brokersIn(scaleBrokers, racks...)
	for n := range scaleTopics {
		topic := NewTopic{Name: fmt.Sprintf("team-%02d.topic-%04d", n%40, n), Partitions: scalePartitions, ReplicationFactor: scaleRF}
		rs, err := CreateTopic(i, topic, nil)
		if err != nil {
			b.Fatal(err)
		}
		entries = append(entries, encodeCommand(i.index, rs))
		i = must(i.Apply(rs...))(b)
	}
	return i, entries
}

// heap is the memory in use, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkScale is what the metadata of a large cluster costs its nodes: see docs/scaling.md.
func BenchmarkScale(b *testing.B) {
	before := heap()
	begin := time.Now()
	image, entries := scaleImage(b)
	created := time.Since(begin)
	log := 0
	for _, e := range entries {
		log += len(e)
	}
	memory := heap() - before - float64(log)
	var snapshot bytes.Buffer
	if err := writeSnapshot(&snapshot, image); err != nil {
		b.Fatal(err)
	}
	b.Run("create-all", func(b *testing.B) { // decided and applied one by one; done once, above
		for b.Loop() {
		}
		b.ReportMetric(created.Seconds(), "s")
		b.ReportMetric(float64(log)/1e6, "log-MB")
		b.ReportMetric(memory/1e6, "image-MB")
	})
	b.Run("create-one", func(b *testing.B) {
		for b.Loop() {
			rs := must(CreateTopic(image, NewTopic{Name: "another", Partitions: scalePartitions, ReplicationFactor: scaleRF}, nil))(b)
			must(image.Apply(rs...))(b)
		}
	})
	b.Run("snapshot", func(b *testing.B) {
		var w bytes.Buffer
		for b.Loop() {
			w.Reset()
			if err := writeSnapshot(&w, image); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(w.Len())/1e6, "MB")
	})
	b.Run("restore", func(b *testing.B) {
		for b.Loop() {
			must(readSnapshot(bytes.NewReader(snapshot.Bytes())))(b)
		}
	})
	b.Run("wiped-broker", func(b *testing.B) { // 6,000 partitions get a new member
		for b.Loop() {
			must(image.Apply(BrokerRecord{Broker{ID: 7, Identity: "another disk"}}))(b)
		}
	})
	b.Run("move-a-broker's-replicas", func(b *testing.B) { // a decision for each of the 6,000, and one entry
		size := 0
		for b.Loop() {
			size = len(encodeCommand(image.index, moveAway(b, image, 7)))
		}
		b.ReportMetric(float64(size)/1e6, "log-MB")
	})
	b.Run("look-through", func(b *testing.B) { // what a node does with a new image at most
		mine := 0
		for b.Loop() {
			mine = 0
			for _, t := range image.Topics() {
				for _, p := range t.Partitions {
					if p.Replicas[0] == 7 || p.Replicas[1] == 7 || p.Replicas[2] == 7 {
						mine++
					}
				}
			}
		}
		b.ReportMetric(float64(mine), "replicas")
	})
	runtime.KeepAlive(image)
}

// moveAway decides that a broker's replicas go to others that do not have them yet.
func moveAway(b *testing.B, i *Image, broker int32) (all []Record) {
	for _, t := range i.Topics() {
		for n, p := range t.Partitions {
			for at, id := range p.Replicas {
				if id != broker {
					continue
				}
				to := slices.Clone(p.Replicas)
				for to[at] = broker%scaleBrokers + 1; to[at] == to[(at+1)%3] || to[at] == to[(at+2)%3]; to[at] = to[at]%scaleBrokers + 1 {
				}
				all = append(all, must(Reassign(i, t.Name, int32(n), to, true))(b)...)
			}
		}
	}
	return all
}
