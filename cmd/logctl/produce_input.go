package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"quorumlog/cmd/logctl/internal/recordio"

	"github.com/twmb/franz-go/pkg/kgo"
)

// openable checks that every file can be read before anything is written, and sums their sizes; 0
// where something is no plain file.
func (p *produce) openable(files []string) (named []string, total int64, err error) {
	if len(files) == 0 {
		files = []string{"-"}
	}
	plain := true
	for _, name := range files {
		if name == "-" {
			plain = false
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, 0, usage("cannot read the input: %v", err)
		}
		info, err := f.Stat()
		_ = f.Close()
		if err != nil || info.IsDir() {
			return nil, 0, usage("cannot read the input: %s is a directory", name)
		}
		plain = plain && info.Mode().IsRegular()
		total += info.Size()
	}
	if !plain {
		total = 0
	}
	return files, total, nil
}

func (p *produce) send(ctx context.Context, s *sender, files []string) error {
	for _, name := range files {
		if name == "-" {
			if p.interactive {
				p.note("Type a record a line; Ctrl-D ends.")
			}
			if err := p.sendAll(ctx, s, "standard input", p.in); err != nil {
				return err
			}
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return usage("cannot read the input: %v", err)
		}
		err = p.sendAll(ctx, s, name, f)
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// sendAll sends what r yields until it ends, a record is refused, or ctx is done. A read from a
// terminal or a pipe cannot be interrupted, so it is left behind then.
func (p *produce) sendAll(ctx context.Context, s *sender, name string, r io.Reader) error {
	reader := recordio.NewReader(&counted{r: r, s: s}, p.input)
	ended := make(chan error, 1)
	go func() {
		for n := int64(1); ; n++ {
			rec, err := reader.Read()
			if errors.Is(err, io.EOF) {
				ended <- nil
				return
			}
			if err != nil {
				ended <- usage("%s, %v", name, err)
				return
			}
			if !s.send(p.complete(rec), fmt.Sprintf("record %d of %s", n, name)) {
				ended <- nil // what was wrong is the sender's to say
				return
			}
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// complete adds what the flags say of every record.
func (p *produce) complete(r *kgo.Record) *kgo.Record {
	if p.hasKey {
		r.Key = []byte(p.key)
	}
	if p.partition >= 0 {
		r.Partition = p.partition
	}
	if !p.fixedTime.IsZero() {
		r.Timestamp = p.fixedTime
	}
	r.Headers = append(r.Headers, p.fixedHeaders...)
	return r
}
