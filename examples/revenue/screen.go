package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

const lineEvery = 2 * time.Second // where there is no terminal to redraw

// screen shows a ledger: a table that is drawn over itself on a terminal, a line now and then in a pipe.
type screen struct {
	out      io.Writer
	terminal bool
	height   int // of the table that stands there
	start    time.Time
	last     time.Time // of the last line
}

func newScreen(out *os.File) *screen {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &screen{out: out, terminal: terminal, start: time.Now()}
}

func (s *screen) draw(l *ledger) {
	if s.terminal {
		s.redraw(l)
		return
	}
	if time.Since(s.last) >= lineEvery {
		s.last = time.Now()
		s.line(l)
	}
}

// close leaves the final state standing.
func (s *screen) close(l *ledger) {
	if s.terminal {
		s.redraw(l)
		return
	}
	s.line(l)
}

func (s *screen) line(l *ledger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(s.out, "%3.0f s  %s\n", time.Since(s.start).Seconds(), summary(l))
}

func (s *screen) redraw(l *ledger) {
	lines := table(l)
	var b strings.Builder
	if s.height > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.height) // back to the table's first line
	}
	for _, line := range lines {
		fmt.Fprintf(&b, "\x1b[2K%s\n", line)
	}
	s.height = len(lines)
	_, _ = io.WriteString(s.out, b.String())
}

// table holds the ledger as lines of text.
func table(l *ledger) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := append(strings.Split(summary(l), "; "), "", fmt.Sprintf("%-18s %14s", "country", "revenue"))
	for _, country := range l.countries() {
		lines = append(lines, fmt.Sprintf("%-18s %14s", country, l.revenue[country]))
	}
	return append(lines, fmt.Sprintf("%-18s %14s", "all", l.total))
}

// summary is the ledger in one line. The caller holds its mutex.
func summary(l *ledger) string {
	s := fmt.Sprintf("%d of %d orders sent, %d counted (%d cancellations), %s", l.sent, l.expected, l.orders, l.cancelled, l.total)
	for _, member := range slices.Sorted(maps.Keys(l.partitions)) {
		s += fmt.Sprintf("; %s: partitions %s", member, list(l.partitions[member]))
	}
	return s
}

func list(partitions []int32) string {
	if len(partitions) == 0 {
		return "none"
	}
	return strings.Trim(fmt.Sprint(partitions), "[]")
}
