//go:build linux

package faults

import (
	"os"
	"testing"

	"quorumlog/internal/brokertest"
)

// torture is the variable that asks for the tests with processes, which take minutes: 1, or a part
// of a fault's name for that one alone.
const torture = "TORTURE"

func TestMain(m *testing.M) {
	if os.Getenv(torture) != "" {
		brokertest.Main(m)
	}
	os.Exit(m.Run())
}
