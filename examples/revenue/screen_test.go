package main

import (
	"strings"
	"testing"
)

func TestTheTableIsDrawnOverItself(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out, terminal: true}
	l := newLedger(2)
	l.assign("first member", []int32{2, 0, 1})
	l.add(order{line: []byte("1"), country: "France", amount: 250})
	s.draw(l)
	before := s.height
	out.Reset()
	l.revoke("first member", []int32{2})
	l.add(order{line: []byte("C2"), country: "Japan", amount: -100})
	s.draw(l)
	got := out.String()
	if before == 0 || !strings.HasPrefix(got, "\x1b["+string(rune('0'+before))+"A") {
		t.Errorf("the second drawing of a table of %d lines begins with %.8q", before, got)
	}
	for _, want := range []string{"first member: partitions 0 1\n", "2 counted (1 cancellations), £1.50", "-£1.00"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}
