//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"

	"quorumlog/test/internal/stats"
)

// Which of two figures is the better one.
const (
	less = iota
	more
)

// figure is something measured in one round.
type figure struct {
	name   string
	value  float64
	better int
}

type figures []figure

// table is all rounds, in the order in which rows came first.
type table struct{ lines []*line }

// line is one figure of one row.
type line struct {
	row, figure string
	better      int
	samples     map[string][]float64 // by system
}

func (t *table) add(row, system string, f figures) {
	for _, x := range f {
		i := slices.IndexFunc(t.lines, func(l *line) bool { return l.row == row && l.figure == x.name })
		if i < 0 {
			i = len(t.lines)
			t.lines = append(t.lines, &line{row, x.name, x.better, map[string][]float64{}})
		}
		l := t.lines[i]
		l.samples[system] = append(l.samples[system], x.value)
	}
}

// print writes medians, the least and the most in brackets, and the first system's share of the second's.
func (t *table) print(w io.Writer, systems []system) error {
	a, b := systems[0].name(), systems[1].name()
	_, err := fmt.Fprintf(w, "| | %s, synced | %s, not synced | ratio | better is |\n| --- | --: | --: | --: | --- |\n", a, b)
	row := ""
	for _, l := range t.lines {
		if l.row != row {
			row = l.row
			if _, err := fmt.Fprintf(w, "| **%s** | | | | |\n", row); err != nil {
				return err
			}
		}
		ratio := stats.Quantile(l.samples[a], 0.5) / stats.Quantile(l.samples[b], 0.5)
		if _, err := fmt.Fprintf(w, "| %s | %s | %s | %.2f | %s |\n", l.figure, spread(l.samples[a]), spread(l.samples[b]), ratio, [...]string{"less", "more"}[l.better]); err != nil {
			return err
		}
	}
	return err
}

func spread(v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	return fmt.Sprintf("%s (%s–%s)", stats.Number(stats.Quantile(v, 0.5)), stats.Number(slices.Min(v)), stats.Number(slices.Max(v)))
}
