package broker

import (
	"fmt"
	"testing"

	"quorumlog/broker/config"
	"quorumlog/cluster"
)

// following returns a node's replicas, which nothing opens, and an image in which it has one of each of
// so many topics. asked counts the topics that it looks at.
func following(t testing.TB, topics int) (r *replicas, im *cluster.Image, asked *int) {
	r, asked = &replicas{
		root: t.TempDir(), self: 1, seen: new(cluster.Image),
		all: map[replicaKey]*replica{}, unopened: map[replicaKey]*replica{}, leaving: map[replicaKey]*replica{},
	}, new(int)
	r.config = func(*cluster.Topic) config.TopicConfig { *asked++; return config.TopicConfig{} }
	var records []cluster.Record
	for id := range int32(3) {
		records = append(records, cluster.BrokerRecord{Broker: cluster.Broker{ID: id + 1, Identity: fmt.Sprint("disk-", id)}})
	}
	for n := range topics {
		records = append(records, newTopic(n))
	}
	return r, changed(t, new(cluster.Image), records...), asked
}

func newTopic(n int) cluster.Record {
	id := cluster.TopicID{15: 1, 0: byte(n), 1: byte(n >> 8)}
	return cluster.TopicRecord{Topic: cluster.Topic{Name: fmt.Sprint("topic-", n), ID: id, Partitions: []cluster.Partition{{Replicas: []int32{1, 2, 3}}}}}
}

func changed(t testing.TB, im *cluster.Image, records ...cluster.Record) *cluster.Image {
	t.Helper()
	im, err := im.Apply(records...)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func TestFollowingAChangeLooksAtTheTopicsThatChanged(t *testing.T) {
	const topics = 6000
	r, im, asked := following(t, topics)
	defer r.tasks.close()
	follow := func(im *cluster.Image, asks, replicas, unopened int) {
		t.Helper()
		*asked = 0
		r.follow(im)
		if *asked != asks || len(r.all) != replicas || len(r.notOpen()) != unopened {
			t.Errorf("%d topics looked at, %d replicas, %d not open; want %d, %d, %d", *asked, len(r.all), len(r.notOpen()), asks, replicas, unopened)
		}
	}
	follow(im, topics, topics, topics)
	more := changed(t, im, newTopic(topics))
	follow(more, 1, topics+1, topics+1)
	follow(more, 0, topics+1, topics+1)
	fewer := changed(t, more, cluster.TopicRemovedRecord{ID: more.Topic("topic-7").ID})
	follow(fewer, 0, topics, topics)
	away := changed(t, fewer, cluster.ReplicasRecord{Topic: fewer.Topic("topic-8").ID, Replicas: []int32{2, 3}})
	follow(away, 1, topics-1, topics-1)
	value := "2"
	follow(changed(t, away, cluster.ConfigRecord{Resource: cluster.ClusterDefault, Name: "log.retention.ms", Value: &value}), topics, topics-1, topics-1)
}

// BenchmarkFollow is what a change of one topic costs a node with a replica of each of 6,000.
func BenchmarkFollow(b *testing.B) {
	r, im, _ := following(b, 6000)
	value := "2"
	setting := cluster.ConfigRecord{Resource: cluster.Resource{Type: cluster.TopicResource, Name: "topic-7"}, Name: "retention.ms", Value: &value}
	images := []*cluster.Image{im, changed(b, im, setting)}
	r.follow(im)
	for n := 1; b.Loop(); n++ {
		r.follow(images[n%2])
	}
}
