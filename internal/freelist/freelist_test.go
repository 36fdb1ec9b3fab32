package freelist

import (
	"runtime"
	"testing"
)

func TestValuesAreGivenOutOnceAndNoMoreAreKeptThanSet(t *testing.T) {
	l := New[int](2)
	if l.Get() != nil {
		t.Fatal("an empty list has a value")
	}
	a, b, c := new(int), new(int), new(int)
	l.Put(a)
	l.Put(b)
	l.Put(c)
	runtime.GC()
	runtime.GC()
	if got := l.Get(); got != b {
		t.Errorf("%p, not the one that was put last of those that fit", got)
	}
	if got := l.Get(); got != a {
		t.Errorf("%p, not the other", got)
	}
	if l.Get() != nil {
		t.Error("a third one was kept, or one is given out twice")
	}
}
