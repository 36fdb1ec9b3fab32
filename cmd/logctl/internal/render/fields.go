package render

import (
	"fmt"
	"io"
)

// Fields is a list of names and values, one a line.
type Fields []Field

// Field is one line of Fields.
type Field struct {
	Name  string
	Value any
}

func (f Fields) write(w io.Writer, l look) error {
	width := 0
	for _, x := range f {
		width = max(width, len(x.Name))
	}
	for _, x := range f {
		value := x.Value
		if s, ok := value.(styled); ok {
			value = l.paint(s.style, s.cell)
		}
		name := l.paint(bold, x.Name)
		if _, err := fmt.Fprintf(w, "%s%*s  %v\n", name, width-len(x.Name), "", value); err != nil {
			return err
		}
	}
	return nil
}

// Note is a line of text.
type Note string

func (n Note) write(w io.Writer, _ look) error {
	_, err := fmt.Fprintln(w, string(n))
	return err
}

// Line is a text with a colour.
type Line struct {
	Style Style
	Text  string
}

// Lines are lines of text, each with a colour.
type Lines []Line

func (ls Lines) write(w io.Writer, l look) error {
	for _, x := range ls {
		if _, err := fmt.Fprintln(w, l.paint(x.Style, x.Text)); err != nil {
			return err
		}
	}
	return nil
}
