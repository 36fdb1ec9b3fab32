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
