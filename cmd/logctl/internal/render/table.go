// Package render writes results: as tables for people, or as JSON or YAML for programs.
package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Part is a piece of a result as people see it: a Table, Fields or a Note.
type Part interface {
	write(w io.Writer, l look) error
}

// look is how a terminal, or what stands in for one, wants its text.
type look struct {
	color bool
	width int // columns; 0 means no limit
}

// Table is rows under a header. A heading that ends in ">" is right-aligned; the column whose
// heading ends in "~" is the one that is broken into lines where the terminal is narrow.
type Table struct {
	headings []string
	rows     []table.Row
	footer   table.Row
}

// NewTable returns an empty table.
func NewTable(headings ...string) *Table { return &Table{headings: headings} }

// Row adds a row.
func (t *Table) Row(cells ...any) { t.rows = append(t.rows, cells) }

// Footer adds a last row, such as a total.
func (t *Table) Footer(cells ...any) { t.footer = cells }

// Style is what colour says about a cell; it is dropped where there is no colour.
type Style string

// What a cell can say.
const (
	Good  Style = "\x1b[32m"
	Warn  Style = "\x1b[33m"
	Bad   Style = "\x1b[31m"
	Faint Style = "\x1b[2m"
	bold  Style = "\x1b[1m"
)

type styled struct {
	style Style
	cell  any
}

// Styled gives a cell a colour. An empty style is none.
func Styled(s Style, cell any) any {
	if s == "" {
		return cell
	}
	return styled{s, cell}
}

func (l look) paint(s Style, v any) string {
	if !l.color || s == "" {
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%s%v\x1b[0m", s, v)
}

// columnGap separates columns, and is all there is between them.
const columnGap = "  "

func (t *Table) write(w io.Writer, l look) error {
	out := table.NewWriter()
	out.SetStyle(bare)
	head := make(table.Row, len(t.headings))
	configs := make([]table.ColumnConfig, len(t.headings))
	flexible := -1
	for i, h := range t.headings {
		name := strings.TrimRight(h, ">~")
		configs[i].Number = i + 1
		if strings.Contains(h, ">") {
			configs[i].Align, configs[i].AlignHeader, configs[i].AlignFooter = text.AlignRight, text.AlignRight, text.AlignRight
		}
		if strings.Contains(h, "~") {
			flexible = i
		}
		head[i] = l.paint(bold, name)
	}
	out.AppendHeader(head)
	widths := make([]int, len(t.headings))
	grow(widths, head)
	for _, r := range t.rows {
		painted := t.paintRow(r, l)
		grow(widths, painted)
		out.AppendRow(painted)
	}
	if t.footer != nil {
		painted := t.paintRow(t.footer, l)
		grow(widths, painted)
		out.AppendRow(painted)
	}
	if flexible >= 0 {
		configs[flexible].WidthMax = flexibleWidth(widths, flexible, l.width)
		configs[flexible].WidthMaxEnforcer = text.WrapSoft
	}
	out.SetColumnConfigs(configs)
	for line := range strings.Lines(out.Render()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) paintRow(r table.Row, l look) table.Row {
	painted := make(table.Row, len(r))
	for i, c := range r {
		if s, ok := c.(styled); ok {
			painted[i] = l.paint(s.style, s.cell)
		} else {
			painted[i] = fmt.Sprint(c)
		}
	}
	return painted
}

func grow(widths []int, r table.Row) {
	for i, c := range r {
		for line := range strings.Lines(c.(string)) {
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(strings.TrimSuffix(line, "\n")))
		}
	}
}

// minFlexible is the narrowest that a breakable column becomes.
const minFlexible = 16

// flexibleWidth is the width left for column i in limit columns; 0 means as it is.
func flexibleWidth(widths []int, i, limit int) int {
	total := len(columnGap) * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	if limit <= 0 || total <= limit {
		return 0
	}
	return max(widths[i]-(total-limit), min(minFlexible, widths[i]))
}

var bare = table.Style{
	Name:    "bare",
	Box:     table.BoxStyle{MiddleVertical: columnGap, PaddingLeft: "", PaddingRight: ""},
	Format:  table.FormatOptions{Header: text.FormatDefault, Row: text.FormatDefault},
	Options: table.Options{SeparateColumns: true},
}
