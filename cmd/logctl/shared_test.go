package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quorumlog/internal/brokertest"
)

// shared is three brokers and the built logctl, made when the first test asks for them, and kept
// until the last has ended.
var shared sharedCluster

type sharedCluster struct {
	once      sync.Once
	tb        lasting
	cluster   *brokertest.Cluster
	bootstrap string
	program   string
	err       error
}

func (s *sharedCluster) start(t *testing.T) {
	t.Helper()
	s.once.Do(func() { s.err = s.make() })
	if s.err != nil {
		t.Fatal(s.err)
	}
}

func (s *sharedCluster) make() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the cluster cannot start: %v", r)
		}
	}()
	s.program = filepath.Join(s.tb.TempDir(), "logctl")
	if s.bootstrap = os.Getenv("LOGCTL_TEST_BOOTSTRAP"); s.bootstrap == "" {
		s.cluster = brokertest.StartCluster(&s.tb, 3, "--set", "group.initial.rebalance.delay.ms=0")
		var addrs []string
		for _, n := range s.cluster.Nodes {
			addrs = append(addrs, n.Addr)
		}
		s.bootstrap = strings.Join(addrs, ",")
	}
	return brokertest.Build(s.program, "quorumlog/cmd/logctl", false)
}

func (s *sharedCluster) close() { s.tb.close() }

// lasting stands in for a test that lasts as long as the test program.
type lasting struct {
	testing.TB
	mu       sync.Mutex
	cleanups []func()
	failed   bool
}

func (l *lasting) Helper() {}

func (l *lasting) TempDir() string {
	dir, err := os.MkdirTemp("", "logctl-test-*")
	if err != nil {
		panic(err)
	}
	l.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (l *lasting) Cleanup(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cleanups = append(l.cleanups, f)
}

func (l *lasting) Fatal(args ...any)                 { panic(errors.New(fmt.Sprint(args...))) }
func (l *lasting) Fatalf(format string, args ...any) { panic(fmt.Errorf(format, args...)) }
func (l *lasting) Logf(format string, args ...any)   { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (l *lasting) Failed() bool                      { return l.failed }

func (l *lasting) Errorf(format string, args ...any) {
	l.failed = true
	l.Logf(format, args...)
}

func (l *lasting) close() {
	for i := len(l.cleanups) - 1; i >= 0; i-- {
		l.cleanups[i]()
	}
}
