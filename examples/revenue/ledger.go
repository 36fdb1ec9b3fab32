package main

import (
	"cmp"
	"maps"
	"slices"
	"sync"
)

// ledger is what the group has counted so far. The members write to it while the screen reads.
type ledger struct {
	mu         sync.Mutex
	expected   int // orders in the file
	sent       int // orders acknowledged by the broker
	orders     int // orders counted
	cancelled  int
	total      pence
	revenue    map[string]pence   // by country
	partitions map[string][]int32 // by member
}

func newLedger(expected int) *ledger {
	return &ledger{expected: expected, revenue: map[string]pence{}, partitions: map[string][]int32{}}
}

func (l *ledger) add(o order) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.orders++
	if o.cancelled() {
		l.cancelled++
	}
	l.total += o.amount
	l.revenue[o.country] += o.amount
}

func (l *ledger) acknowledged() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
}

// complete says whether every order has been counted.
func (l *ledger) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.orders >= l.expected
}

func (l *ledger) assign(member string, partitions []int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partitions[member] = append(l.partitions[member], partitions...)
	slices.Sort(l.partitions[member])
}

func (l *ledger) revoke(member string, partitions []int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partitions[member] = slices.DeleteFunc(l.partitions[member], func(p int32) bool {
		return slices.Contains(partitions, p)
	})
}

// countries are those with orders, the largest revenue first. The caller holds mu where others write.
func (l *ledger) countries() []string {
	return slices.SortedFunc(maps.Keys(l.revenue), func(a, b string) int {
		return cmp.Or(cmp.Compare(l.revenue[b], l.revenue[a]), cmp.Compare(a, b))
	})
}
