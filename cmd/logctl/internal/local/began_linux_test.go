package local

import (
	"errors"
	"testing"
)

func TestStartTicksAreFoundBehindAnyName(t *testing.T) {
	const tail = " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21"
	for _, name := range []string{"(brokerd)", "(a b)", "(a) S 1 2)", "(()"} {
		if got, err := startTicks([]byte("12 " + name + " S" + tail)); err != nil || got != "4711" {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := startTicks([]byte("12 (x) Z" + tail)); !errors.Is(err, ErrGone) {
		t.Errorf("a zombie: %v", err)
	}
	for _, s := range []string{"", "12 (x) S 1", "no name"} {
		if _, err := startTicks([]byte(s)); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}
