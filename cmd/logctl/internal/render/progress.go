package render

import (
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress is a line on a terminal that says how far long work has come. A nil *Progress is
// silent, which is what work in a pipe wants.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	now   func() time.Time
	begun time.Time
	drawn time.Time
	bar   *progressbar.ProgressBar // nil: nothing was drawn yet
	total int64                    // that bar is for
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
	p.drawn = now
	if total <= 0 {
		total = -1 // a spinner
	}
	if p.bar == nil || p.total != total {
		p.bar, p.total = newBar(p.w, total), total
	}
	p.bar.Describe(note)
	if total > 0 {
		done = min(done, total-1) // whole is what Done says
	}
	_ = p.bar.Set64(done) // an error of the terminal is no reason to stop the work
}

// Done takes the line away.
func (p *Progress) Done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

const barWidth = 24

func newBar(w io.Writer, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(barWidth), progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(total > 0), progressbar.OptionSpinnerType(14), progressbar.OptionUseANSICodes(true),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░", BarStart: "", BarEnd: ""}),
	)
}
