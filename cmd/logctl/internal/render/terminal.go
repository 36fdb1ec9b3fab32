package render

import (
	"io"
	"os"

	"golang.org/x/term"
)

// IsTerminal reports whether f, a reader or a writer, is a terminal.
func IsTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Size returns the columns and lines of the terminal w, 0 where it is none.
func Size(w io.Writer) (columns, lines int) {
	if file, ok := w.(*os.File); ok {
		if columns, lines, err := term.GetSize(int(file.Fd())); err == nil {
			return columns, lines
		}
	}
	return 0, 0
}

// WantsColor reports whether text for w should be coloured: on a terminal that is not "dumb",
// unless the environment has NO_COLOR.
func WantsColor(w io.Writer, env func(string) string) bool {
	return IsTerminal(w) && env("NO_COLOR") == "" && env("TERM") != "dumb"
}
