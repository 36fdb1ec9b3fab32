package broker

import (
	"slices"
	"testing"
)

func TestANodeIsLostWhenItWasMissedTwiceInARow(t *testing.T) {
	var s isolation
	for i, round := range []struct{ estranged, lost []int32 }{
		{[]int32{2}, nil},
		{nil, nil},
		{[]int32{2, 3}, nil},
		{[]int32{2}, []int32{2}},
		{[]int32{2, 3}, []int32{2}},
	} {
		if lost := s.round(round.estranged); !slices.Equal(lost, round.lost) {
			t.Errorf("round %d: %v are lost, want %v", i, lost, round.lost)
		}
	}
}

func TestALeaderIsOutvotedWithoutAMajority(t *testing.T) {
	for _, c := range []struct {
		voters, lost []int32
		outvoted     bool
	}{
		{[]int32{1}, []int32{2, 3}, false},
		{[]int32{1, 2}, []int32{2}, true},
		{[]int32{1, 2, 3}, []int32{2}, false},
		{[]int32{1, 2, 3}, []int32{2, 3}, true},
		{[]int32{1, 4, 5}, []int32{2, 3}, false},
	} {
		if got := outvoted(c.voters, c.lost); got != c.outvoted {
			t.Errorf("%v without %v: %v", c.voters, c.lost, got)
		}
	}
}
