package log

import (
	"fmt"
	"math"
	"testing"
	"unsafe"
)

func TestKeyMapKnowsTheLastOffsetOfEachKey(t *testing.T) {
	m := newKeyMap(1000, 1<<20)
	want := map[string]int64{}
	for i := range int64(10_000) {
		k := fmt.Sprint(i * i % 3001)
		if !m.put([]byte(k), 1000+i) {
			t.Fatalf("full at %d", i)
		}
		want[k] = 1000 + i
	}
	for k, offset := range want {
		if got := m.last([]byte(k)); got != offset {
			t.Errorf("key %s was last at %d, want %d", k, got, offset)
		}
	}
	if m.last([]byte("none")) != -1 || m.used != len(want) {
		t.Errorf("%d keys, want %d", m.used, len(want))
	}
}

func TestKeyMapKeepsItsBound(t *testing.T) {
	if unsafe.Sizeof(keySlot{}) != keySlotSize {
		t.Fatal("a slot has another size")
	}
	const bytes = 200_000
	m := newKeyMap(0, bytes)
	n := int64(0)
	for m.put(fmt.Append(nil, n), n) {
		n++
	}
	if size := len(m.slots) * keySlotSize * 3 / 2; size > bytes || size < bytes/3 {
		t.Errorf("%d bytes at the most, %d are allowed", size, bytes)
	}
	if n < bytes/4/keySlotSize {
		t.Errorf("full with %d keys", n)
	}
	for i := range n { // those that are known may still be seen again
		if !m.put(fmt.Append(nil, i), n+i) || m.last(fmt.Append(nil, i)) != n+i {
			t.Fatalf("key %d", i)
		}
	}
	if m.put([]byte("0"), math.MaxUint32) {
		t.Error("an offset beyond what a slot can hold was taken")
	}
}
