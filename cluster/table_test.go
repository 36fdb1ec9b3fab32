package cluster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

func TestWhatDiffersFromAnOlderImageIsYieldedOnce(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	images := []*Image{new(Image), imageOf(t, 200)}
	for n := range 100 {
		i := images[len(images)-1]
		old := i.Topics()[rnd.IntN(len(i.Topics()))]
		made := Topic{Name: fmt.Sprint("new-", n), ID: NewTopicID(rnd)}
		records := []Record{TopicRecord{made}}
		switch rnd.IntN(3) {
		case 0: // deleted, and made anew under its name
			made.Name = old.Name
			records = []Record{TopicRemovedRecord{old.ID}, TopicRecord{made}}
		case 1:
			records = []Record{PartitionsRecord{Topic: old.ID, First: int32(len(old.Partitions)), Partitions: []Partition{{Replicas: []int32{1}}}}}
		}
		images = append(images, must(i.Apply(records...))(t))
	}
	for range 200 {
		old, now := images[rnd.IntN(len(images))], images[rnd.IntN(len(images))]
		was, is := maps.Collect(byIDs(old)), maps.Collect(byIDs(now))
		for o, n := range now.TopicsSince(old) {
			if o == n || o != nil && was[o.ID] != o || n != nil && is[n.ID] != n {
				t.Fatalf("from %v to %v", o, n)
			}
			if o != nil {
				delete(was, o.ID)
			}
			if n != nil {
				delete(is, n.ID)
			}
		}
		if !maps.Equal(was, is) {
			t.Fatal("something else differs")
		}
	}
}

func byIDs(i *Image) func(func(TopicID, *Topic) bool) {
	return func(yield func(TopicID, *Topic) bool) {
		for _, t := range i.Topics() {
			if !yield(t.ID, t) {
				return
			}
		}
	}
}
