package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
)

// watchable gives a command that shows something --watch: it is shown again and again until Ctrl-C.
func (a *app) watchable(c *cobra.Command) *cobra.Command {
	every := time.Duration(0)
	c.Flags().DurationVarP(&every, "watch", "w", 0, "show it again every `SECONDS`, until Ctrl-C")
	c.Flags().Lookup("watch").NoOptDefVal = "2s"
	show := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if !c.Flags().Changed("watch") {
			return show(c, args)
		}
		if every < minWatch {
			return usage("--watch must be %v or more", minWatch)
		}
		return a.watch(c, every, func() error { return show(c, args) })
	}
	return c
}

// minWatch keeps watching from being a load.
const minWatch = 200 * time.Millisecond

// watch draws frame after frame in the same place of a terminal, or one after the other elsewhere.
// A frame that fails is a message in its place, but for the first, which ends it.
func (a *app) watch(c *cobra.Command, every time.Duration, show func() error) error {
	ctx, out := c.Context(), a.out
	for first := true; ctx.Err() == nil; first = false {
		var frame bytes.Buffer
		a.out = &pipe{w: &frame, broken: func() {}}
		err := show()
		a.out = out
		if ctx.Err() != nil { // Ctrl-C is how watching ends
			err, frame = nil, bytes.Buffer{}
		}
		if err != nil {
			f := a.explain(err, "")
			if first && f.status != statusRefused {
				return err
			}
			fmt.Fprintln(&frame, f.message)
		}
		if frame.Len() > 0 {
			if _, err := out.Write(a.frame(frame.String(), first)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
	return nil
}

// frame is a text over the one before, cut to the height of the terminal; elsewhere it is the text
// after an empty line.
func (a *app) frame(text string, first bool) []byte {
	if a.height == 0 {
		if !first && a.format == render.AsTable {
			text = "\n" + text
		}
		return []byte(text)
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	head := a.now().Format("15:04:05") + "  Ctrl-C ends"
	if more := len(lines) - (a.height - 2); more > 0 {
		lines = lines[:len(lines)-more]
		head += fmt.Sprintf("  %s more below", render.Plural(int64(more), "line"))
	}
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for _, l := range append([]string{head}, lines...) {
		b.WriteString(l + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	if first {
		return append([]byte("\x1b[2J"), b.Bytes()...)
	}
	return b.Bytes()
}
