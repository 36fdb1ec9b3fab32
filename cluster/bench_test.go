package cluster

import (
	"bytes"
	"fmt"
	"testing"
)

// imageOf is an image with one broker and this many topics.
func imageOf(t testing.TB, topics int) *Image {
	t.Helper()
	d := new(Image).delta()
	d.putBroker(&Broker{ID: 1, Identity: "A", Host: "localhost", Port: 9092})
	for n := range topics {
		name := fmt.Sprintf("topic-%06d", n)
		d.putTopic(&Topic{Name: name, ID: NewTopicID(nil), Partitions: []Partition{{Replicas: []int32{1}}}})
	}
	return d.image(1)
}

func sizes(b *testing.B, f func(b *testing.B, topics int)) {
	for _, topics := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(topics), func(b *testing.B) { f(b, topics) })
	}
}

// BenchmarkImageChange is one setting of one topic among many, without Raft.
func BenchmarkImageChange(b *testing.B) {
	sizes(b, func(b *testing.B, topics int) {
		i, v := imageOf(b, topics), "1"
		for b.Loop() {
			i = must(i.Apply(ConfigRecord{Resource: Resource{TopicResource, "topic-000500"}, Name: "retention.ms", Value: &v}))(b)
		}
	})
}

// BenchmarkImageCreateTopic is one more topic, decided and applied, without Raft.
func BenchmarkImageCreateTopic(b *testing.B) {
	sizes(b, func(b *testing.B, topics int) {
		i := imageOf(b, topics)
		for b.Loop() {
			must(i.Apply(must(create("topic-000500-new", 1)(i))(b)...))(b)
		}
	})
}

// BenchmarkImageMove starts the move of one partition of a topic that has many.
func BenchmarkImageMove(b *testing.B) {
	sizes(b, func(b *testing.B, partitions int) {
		t := TopicRecord{Topic{Name: "t", ID: NewTopicID(nil)}}
		t.Topic.Partitions = must(place(brokersIn(4), nil, partitions, 3, nil))(b)
		i := with(b, brokersIn(4), t)
		for b.Loop() {
			must(i.Apply(must(Reassign(i, "t", 5, []int32{3, 4, 1}, true))(b)...))(b)
		}
	})
}

// BenchmarkImageMoveAll starts the moves of all partitions of a topic in one decision.
func BenchmarkImageMoveAll(b *testing.B) {
	sizes(b, func(b *testing.B, partitions int) {
		t := TopicRecord{Topic{Name: "t", ID: NewTopicID(nil)}}
		t.Topic.Partitions = must(place(brokersIn(4), nil, partitions, 3, nil))(b)
		i := with(b, brokersIn(4), t)
		var all []Record
		for n := range int32(partitions) {
			all = append(all, must(Reassign(i, "t", n, []int32{3, 4, 1}, true))(b)...)
		}
		for b.Loop() {
			must(i.Apply(all...))(b)
		}
	})
}

// BenchmarkImageWipedBroker replaces the data directory of a broker that is in every topic.
func BenchmarkImageWipedBroker(b *testing.B) {
	sizes(b, func(b *testing.B, topics int) {
		i := imageOf(b, topics)
		for b.Loop() {
			must(i.Apply(BrokerRecord{Broker{ID: 1, Identity: "B"}}))(b)
		}
	})
}

func BenchmarkImageTopic(b *testing.B) {
	sizes(b, func(b *testing.B, topics int) {
		i := imageOf(b, topics)
		for b.Loop() {
			if i.Topic("topic-000500") == nil {
				b.Fatal("no topic")
			}
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	sizes(b, func(b *testing.B, topics int) {
		i := imageOf(b, topics)
		var w bytes.Buffer
		for b.Loop() {
			w.Reset()
			if err := writeSnapshot(&w, i); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(w.Len()), "bytes")
	})
}

func BenchmarkRestore(b *testing.B) {
	sizes(b, func(b *testing.B, topics int) {
		var w bytes.Buffer
		if err := writeSnapshot(&w, imageOf(b, topics)); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			must(readSnapshot(bytes.NewReader(w.Bytes())))(b)
		}
	})
}

// BenchmarkFirstStart opens an empty directory.
func BenchmarkFirstStart(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		b.StartTimer()
		m := open(b, dir)
		b.StopTimer()
		m.close()
		b.StartTimer()
	}
}

// BenchmarkRestart opens a directory whose topics all lie in the log, none in a snapshot.
func BenchmarkRestart(b *testing.B) {
	for _, topics := range []int{1_000, 8_000} {
		b.Run(fmt.Sprint(topics), func(b *testing.B) {
			dir := b.TempDir()
			m := open(b, dir)
			m.change(register(Broker{ID: 1, Identity: "A", Host: "localhost", Port: 9092}))
			for n := range topics {
				m.change(create(fmt.Sprintf("topic-%06d", n), 1))
			}
			m.close()
			for b.Loop() {
				m := open(b, dir)
				b.StopTimer()
				m.close()
				b.StartTimer()
			}
		})
	}
}

// BenchmarkChange creates topics one after another, through Raft and the disk.
func BenchmarkChange(b *testing.B) {
	m := open(b, b.TempDir())
	m.change(register(Broker{ID: 1, Identity: "A", Host: "localhost", Port: 9092}))
	n := 0
	for b.Loop() {
		n++
		m.change(create(fmt.Sprintf("topic-%06d", n), 1))
	}
}
