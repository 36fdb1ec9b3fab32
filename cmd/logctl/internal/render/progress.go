package render

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Progress is a line on a terminal that says how far long work has come. A nil *Progress is
// silent, which is what work in a pipe wants.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	now   func() time.Time
	begun time.Time
	drawn time.Time
	shown bool
}

// progressDelay keeps short work silent; progressStep is how often the line is drawn again.
const (
	progressDelay = 300 * time.Millisecond
	progressStep  = 100 * time.Millisecond
)

// NewProgress returns a progress line on w, or nil where w is no terminal.
func NewProgress(w io.Writer) *Progress {
	if !IsTerminal(w) {
		return nil
	}
	return newProgress(w, time.Now)
}

func newProgress(w io.Writer, now func() time.Time) *Progress {
	return &Progress{w: w, now: now, begun: now()}
}

// Set says that done of total units are finished (total 0: nobody knows how many) and adds a
// note, such as a count.
func (p *Progress) Set(done, total int64, note string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if now.Sub(p.begun) < progressDelay || now.Sub(p.drawn) < progressStep {
		return
	}
	p.drawn, p.shown = now, true
	fmt.Fprintf(p.w, "\r\x1b[K%s%s", bar(done, total), note)
}

// Done takes the line away.
func (p *Progress) Done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

const barWidth = 24

func bar(done, total int64) string {
	if total <= 0 {
		return ""
	}
	part := float64(min(done, total)) / float64(total)
	full := int(part * barWidth)
	return fmt.Sprintf("%s%s %3.0f%%  ", strings.Repeat("█", full), strings.Repeat("░", barWidth-full), part*100)
}
