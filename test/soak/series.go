//go:build linux

package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"quorumlog/test/internal/stats"
)

// column is something that is measured again and again. It is flat when the median of the last quarter of
// the time is no more than that of the second one and what is allowed beyond: the first quarter is for
// caches to fill and for the first segments to be deleted.
type column struct {
	name  string
	share float64 // of the earlier median
	plus  float64
	told  bool // it is not judged
}

type series struct {
	columns []column
	rows    [][]float64 // the first value of a row is minutes
}

func (s *series) describe(nodes int) {
	s.columns = []column{{name: "minutes", told: true}}
	for i := range nodes {
		node := fmt.Sprintf("node %d: ", i+1)
		s.columns = append(s.columns,
			column{name: node + "anonymous memory, MiB", share: 0.15, plus: 4},
			column{name: node + "descriptors", share: 0.15, plus: 16},
			column{name: node + "goroutines", share: 0.15, plus: 32},
			column{name: node + "disk, MiB", share: 0.15, plus: 64})
	}
	// Milliseconds depend on what else the machine does.
	s.columns = append(s.columns,
		column{name: "acknowledged, p50, ms", share: 0.5, plus: 1},
		column{name: "acknowledged, p99, ms", share: 0.5, plus: 5},
		column{name: "processor time of all nodes, of a core", told: true})
}

func (s *series) add(row []float64) { s.rows = append(s.rows, row) }

// write writes all samples, for a chart; "" is nowhere.
func (s *series) write(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	var head []string
	for _, c := range s.columns {
		head = append(head, c.name)
	}
	_ = w.Write(head) // Flush keeps the error
	for _, row := range s.rows {
		var line []string
		for _, v := range row {
			line = append(line, strconv.FormatFloat(v, 'f', 2, 64))
		}
		_ = w.Write(line)
	}
	w.Flush()
	return w.Error()
}

// judge writes a table, and reports whether everything was flat.
func (s *series) judge(w io.Writer) bool {
	flat := true
	fmt.Fprintf(w, "| | 1st quarter | 2nd | 3rd | 4th | allowed | |\n| --- | --: | --: | --: | --: | --: | --- |\n")
	for i, c := range s.columns {
		if i == 0 {
			continue
		}
		var q [4]float64
		for n := range q {
			q[n] = s.median(i, n)
		}
		limit, verdict := "", ""
		if !c.told {
			most := q[1]*(1+c.share) + c.plus
			limit, verdict = stats.Number(most), "flat"
			if !(q[3] <= most) { // also where there is none
				verdict, flat = "NOT FLAT", false
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", c.name, stats.Number(q[0]), stats.Number(q[1]), stats.Number(q[2]), stats.Number(q[3]), limit, verdict)
	}
	return flat
}

// median is of one column in one quarter of the time.
func (s *series) median(column, quarter int) float64 {
	n := len(s.rows)
	var v []float64
	for _, row := range s.rows[n*quarter/4 : n*(quarter+1)/4] {
		v = append(v, row[column])
	}
	if len(v) == 0 {
		return math.NaN()
	}
	return stats.Quantile(v, 0.5)
}
