// Command chart draws columns of a CSV file as an SVG picture, panels below each other. It is a module of
// its own, so that nothing that it needs is a need of the product.
package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"image/color"
	"os"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

func main() {
	in := flag.String("in", "", "the CSV file: a line of names, and numbers")
	out := flag.String("out", "", "the SVG file")
	x := flag.String("x", "", "the column along the horizontal axis")
	logX := flag.Bool("log", false, "whether that axis is logarithmic, with a mark at each value")
	columns := flag.Int("across", 1, "panels beside each other")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: chart -in FILE -out FILE -x COLUMN PANEL...\n\n"+
			"PANEL is TITLE=PATTERN: a line for each column whose name ends with PATTERN, or TITLE=PATTERN@COLUMN:VALUE\n"+
			"for those rows alone in which COLUMN has VALUE.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(*in, *out, *x, *logX, *columns, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(in, out, x string, logX bool, across int, panels []string) error {
	if len(panels) == 0 {
		return errors.New("no panel is asked for")
	}
	t, err := read(in)
	if err != nil {
		return err
	}
	rows := (len(panels) + across - 1) / across
	const width, height = 18 * vg.Centimeter, 5 * vg.Centimeter
	c := vgsvg.New(width, height*vg.Length(rows))
	tiles := draw.Tiles{Rows: rows, Cols: across, PadX: vg.Millimeter * 6, PadY: vg.Millimeter * 4, PadTop: vg.Millimeter, PadBottom: vg.Millimeter, PadLeft: vg.Millimeter, PadRight: vg.Millimeter * 3}
	all := draw.New(c)
	all.SetColor(color.White) // also where the page around it is dark
	all.Fill(all.Rectangle.Path())
	grid := make([][]*plot.Plot, rows)
	for i := range grid {
		grid[i] = make([]*plot.Plot, across)
	}
	for i, panel := range panels {
		if grid[i/across][i%across], err = t.panel(panel, x, logX); err != nil {
			return fmt.Errorf("%s: %w", panel, err)
		}
	}
	for i, canvases := range plot.Align(grid, tiles, all) {
		for j, at := range canvases {
			if p := grid[i][j]; p != nil {
				p.Draw(at)
			}
		}
	}
	var svg bytes.Buffer
	if _, err := c.WriteTo(&svg); err != nil {
		return err
	}
	// The library names one font, which few readers have.
	text := strings.ReplaceAll(svg.String(), "font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,sans-serif;")
	return os.WriteFile(out, []byte(text), 0o644)
}

// table is a CSV file.
type table struct {
	names []string
	rows  [][]string
}

func read(path string) (t table, err error) {
	f, err := os.Open(path)
	if err != nil {
		return t, err
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return t, err
	}
	if len(all) < 2 {
		return t, fmt.Errorf("%s holds no rows", path)
	}
	return table{all[0], all[1:]}, nil
}

var colours = []color.Color{
	color.RGBA{0x1f, 0x77, 0xb4, 0xff}, color.RGBA{0xd6, 0x27, 0x28, 0xff}, color.RGBA{0x2c, 0xa0, 0x2c, 0xff}, color.RGBA{0x94, 0x67, 0xbd, 0xff},
}

// panel draws what TITLE=PATTERN[@COLUMN:VALUE] asks for.
func (t table) panel(panel, x string, logX bool) (*plot.Plot, error) {
	title, rest, ok := strings.Cut(panel, "=")
	if !ok {
		return nil, errors.New("not TITLE=PATTERN")
	}
	pattern, filter, _ := strings.Cut(rest, "@")
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = x
	small := font.Font{Typeface: "Liberation", Variant: "Sans", Size: 8}
	for _, s := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font} {
		*s = small
	}
	p.Title.TextStyle.Font.Size, p.Title.Padding = 9, vg.Millimeter
	p.Legend.Top, p.Legend.Left, p.Legend.Padding = false, true, vg.Millimeter
	p.Add(plotter.NewGrid())
	lines := 0
	for _, name := range t.names {
		if !strings.HasSuffix(name, pattern) || name == x {
			continue
		}
		points, err := t.points(x, name, filter)
		if err != nil {
			return nil, err
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = colours[lines%len(colours)], vg.Points(1.2)
		p.Add(line)
		if logX {
			dots, err := plotter.NewScatter(points)
			if err != nil {
				return nil, err
			}
			dots.Color, dots.Shape = line.Color, draw.CircleGlyph{}
			p.Add(dots)
			marks(&p.X, points)
		}
		lines++
		if label, ok := strings.CutSuffix(strings.TrimSuffix(name, pattern), ": "); ok {
			p.Legend.Add(label, line)
		}
	}
	if lines == 0 {
		return nil, errors.New("no column has such a name")
	}
	p.Y.Min = 0
	p.Y.Max *= 1.1
	return p, nil
}

// marks makes an axis logarithmic and labels it where there is a value.
func marks(a *plot.Axis, points plotter.XYs) {
	a.Scale = plot.LogScale{}
	var ticks []plot.Tick
	for _, xy := range points {
		ticks = append(ticks, plot.Tick{Value: xy.X, Label: strconv.FormatFloat(xy.X, 'f', -1, 64)})
	}
	a.Tick.Marker = plot.ConstantTicks(ticks)
}

func (t table) points(x, y, filter string) (points plotter.XYs, err error) {
	column, value, _ := strings.Cut(filter, ":")
	xi, yi, fi := slices.Index(t.names, x), slices.Index(t.names, y), slices.Index(t.names, column)
	if xi < 0 || filter != "" && fi < 0 {
		return nil, fmt.Errorf("there is no column %q or %q", x, column)
	}
	for _, row := range t.rows {
		if filter != "" && row[fi] != value {
			continue
		}
		var at plotter.XY
		if at.X, err = strconv.ParseFloat(row[xi], 64); err != nil {
			return nil, err
		}
		if row[yi] == "" {
			continue
		}
		if at.Y, err = strconv.ParseFloat(row[yi], 64); err != nil {
			return nil, err
		}
		points = append(points, at)
	}
	if len(points) == 0 {
		return nil, fmt.Errorf("no rows for %s", filter)
	}
	return points, nil
}
