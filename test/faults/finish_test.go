//go:build linux

package faults

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/log"
)

// stopper is a node, to be stopped before its files are compared with those of the others.
type stopper interface {
	Stop()
	DataDir() string
}

// lag is for how long a replica that lacks something still counts as in sync.
const lag = 2 * time.Second

// recovery is how long a cluster may take after the last fault until all is as it was.
const recovery = time.Minute

// finish waits until the cluster is whole again and checks everything that was said.
func finish(t *testing.T, l *load, a *administrator, nodes []stopper) {
	ctx, cancel := context.WithTimeout(t.Context(), recovery)
	defer cancel()
	defer a.cl.Close()
	defer l.close()
	if err := a.settle(ctx); err != nil {
		t.Fatalf("moves are refused: %v", err)
	}
	l.stopProducing()
	if err := l.flush(ctx); err != nil {
		t.Fatalf("producers cannot write: %v", err)
	}
	pause(ctx, 2*lag) // who lacks something now does not count after it
	if err := a.whole(ctx); err != nil {
		t.Fatalf("the cluster is not whole: %v", err)
	}
	for l.undelivered() != "" {
		if !pause(ctx, 50*time.Millisecond) {
			t.Fatalf("the group did not get %s", l.undelivered())
		}
	}
	ends, err := endsOf(ctx, a.adm, "one", "two")
	if err != nil {
		t.Fatal(err)
	}
	for p, end := range ends {
		values, err := readAll(ctx, l.c, p, end)
		if err != nil {
			t.Fatalf("%v: %v", p, err)
		}
		l.m.check(p, values)
	}
	l.close()
	var dirs []string
	for _, x := range nodes {
		x.Stop()
		dirs = append(dirs, x.DataDir())
	}
	for p, end := range ends {
		same(t, dirs, p, end)
	}
}

// endsOf is where partitions end, once all have leaders.
func endsOf(ctx context.Context, adm *kadm.Client, topics ...string) (map[place]int64, error) {
	for {
		listed, err := adm.ListEndOffsets(ctx, topics...)
		if err == nil {
			err = listed.Error()
		}
		if err == nil {
			ends := map[place]int64{}
			listed.Each(func(o kadm.ListedOffset) { ends[place{o.Topic, o.Partition}] = o.Offset })
			return ends, nil
		}
		if !pause(ctx, 50*time.Millisecond) {
			return nil, err
		}
	}
}

// readAll reads a partition's values up to its end.
func readAll(ctx context.Context, c cluster, p place, end int64) ([]string, error) {
	life, cancel := context.WithCancel(ctx)
	cl := newReader(life, c, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.topic: {p.partition: kgo.NewOffset().At(0)}}))
	defer cl.Close()
	defer cancel()
	var values []string
	var gap error
	for int64(len(values)) < end {
		f := cl.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			return nil, fmt.Errorf("after %d of %d records: %w", len(values), end, err)
		}
		f.EachRecord(func(r *kgo.Record) {
			if r.Offset != int64(len(values)) {
				gap = fmt.Errorf("offset %d where %d is due", r.Offset, len(values))
			}
			values = append(values, name(r.Value))
		})
		if gap != nil {
			return nil, gap
		}
	}
	return values, nil
}

// same compares the batches of all replicas, byte for byte.
func same(t *testing.T, dirs []string, p place, end int64) {
	var first string
	for i, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(dir, "topics", p.topic+"-*", fmt.Sprint(p.partition)))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v has %d directories: %v", dir, p, len(found), err)
		}
		batches, ended := log.Inspect(found[0])
		var all []byte
		next := int64(0)
		for b := range batches {
			if b.Kind == log.KindData && next < end {
				all = append(all, b.Batch...)
				next = b.Batch.NextOffset()
			}
		}
		if err := ended(); err != nil {
			t.Errorf("%s: %v: %v", dir, p, err)
		}
		if next != end {
			t.Errorf("%s: %v ends at offset %d, committed is %d", dir, p, next, end)
		}
		if i == 0 {
			first = string(all)
		} else if string(all) != first {
			t.Errorf("%v is not the same in %s and %s", p, dirs[0], dir)
		}
	}
}
