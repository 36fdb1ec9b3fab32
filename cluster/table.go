package cluster

import (
	"hash/maphash"
	"iter"
	"maps"
	"reflect"
)

// tableShards is the number of maps in a table; a set of them is one uint64.
const tableShards = 64

var tableSeed = maphash.MakeSeed()

// table is a persistent map: a copy of the struct is a new version that shares every shard with
// the old one until it is written to. A change copies one shard, a 64th of the whole.
type table[K, V comparable] struct {
	shards [tableShards]map[K]V
	len    int
}

func shardOf[K comparable](k K) int {
	return int(maphash.Comparable(tableSeed, k) % tableShards)
}

func (t *table[K, V]) get(k K) (V, bool) {
	v, ok := t.shards[shardOf(k)][k]
	return v, ok
}

// all returns every value, in no order.
func (t *table[K, V]) all() []V {
	values := make([]V, 0, t.len)
	for _, shard := range t.shards {
		for _, v := range shard {
			values = append(values, v)
		}
	}
	return values
}

// set stores a value. owned says which shards this version has already made its own.
func (t *table[K, V]) set(k K, v V, owned *uint64) {
	m := t.own(shardOf(k), owned)
	before := len(m)
	m[k] = v
	t.len += len(m) - before
}

func (t *table[K, V]) delete(k K, owned *uint64) {
	m := t.own(shardOf(k), owned)
	before := len(m)
	delete(m, k)
	t.len += len(m) - before
}

func (t *table[K, V]) own(shard int, owned *uint64) map[K]V {
	if *owned&(1<<shard) == 0 {
		*owned |= 1 << shard
		if t.shards[shard] == nil {
			t.shards[shard] = map[K]V{}
		} else {
			t.shards[shard] = maps.Clone(t.shards[shard])
		}
	}
	return t.shards[shard]
}

// since yields the values that differ from those of an older version: as they were and as they are,
// the zero value where there was or is none. It looks only into shards that the two do not share.
func (t *table[K, V]) since(old *table[K, V]) iter.Seq2[V, V] {
	return func(yield func(was, is V) bool) {
		for n, is := range t.shards {
			was := old.shards[n]
			if reflect.ValueOf(is).Pointer() == reflect.ValueOf(was).Pointer() { // Go compares no maps
				continue
			}
			for k, v := range is {
				if o := was[k]; o != v && !yield(o, v) {
					return
				}
			}
			for k, o := range was {
				if _, there := is[k]; !there {
					var none V
					if !yield(o, none) {
						return
					}
				}
			}
		}
	}
}
