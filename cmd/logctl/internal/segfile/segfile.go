// Package segfile reads the data files of a log as they lie on disk, without their indexes and
// without a broker. It changes nothing.
package segfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"quorumlog/record"
)

// Suffix is that of data files; the stem is the base offset in 20 digits.
const Suffix = ".log"

// Damage is what is wrong at a position of a file. Nothing after it can be read.
type Damage struct {
	Position int64 // bytes from the file's beginning
	Reason   string
}

func (d *Damage) Error() string { return fmt.Sprintf("at byte %d: %s", d.Position, d.Reason) }

// Scanner reads a data file batch by batch.
type Scanner struct {
	f    *os.File
	size int64
	pos  int64 // of the next batch
	buf  []byte
}

// Open opens a data file.
func Open(path string) (*Scanner, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no plain file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &Scanner{f: f, size: info.Size()}, nil
}

// Close closes the file.
func (s *Scanner) Close() error { return s.f.Close() }

// Position is where the next batch begins, in bytes; at the end it is how much holds batches.
func (s *Scanner) Position() int64 { return s.pos }

// prefix is what a batch's length can be read from: the base offset and the length itself.
const prefix = 12

// maxBatch bounds a batch, in bytes, so that a damaged length takes no memory.
const maxBatch = 256 << 20

// Next returns the next batch and its position. The batch is valid until the next call. The end
// is io.EOF, also where only zeros follow, which is space that was set aside; anything else that
// is no batch is a *Damage.
func (s *Scanner) Next() (record.Batch, int64, error) {
	var head [prefix]byte
	n, err := s.f.ReadAt(head[:], s.pos)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, s.pos, err
	}
	if n == 0 {
		return nil, s.pos, io.EOF
	}
	length := int64(int32(binary.BigEndian.Uint32(head[8:])))
	if length == 0 {
		return nil, s.pos, s.zeros()
	}
	size := prefix + length
	if n < prefix || s.pos+size > s.size {
		return nil, s.pos, &Damage{s.pos, fmt.Sprintf("the last batch is not whole: %d bytes are left", s.size-s.pos)}
	}
	if size < record.HeaderSize || size > maxBatch {
		return nil, s.pos, &Damage{s.pos, fmt.Sprintf("no batch: its length would be %d", length)}
	}
	if int64(cap(s.buf)) < size {
		s.buf = make([]byte, size)
	}
	s.buf = s.buf[:size]
	if _, err := s.f.ReadAt(s.buf, s.pos); err != nil {
		return nil, s.pos, err
	}
	b, _, err := record.Split(s.buf)
	if err != nil {
		return nil, s.pos, &Damage{s.pos, err.Error()}
	}
	at := s.pos
	s.pos += size
	return b, at, nil
}

// zeros is io.EOF where only zeros follow.
func (s *Scanner) zeros() error {
	buf, none := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := s.pos; at < s.size; at += int64(len(buf)) {
		n, err := s.f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !bytes.Equal(buf[:n], none[:n]) {
			return &Damage{s.pos, "neither a batch nor empty space"}
		}
	}
	return io.EOF
}

// Find returns the data files that paths name: files, and all in directories and below, sorted so
// that a partition's follow each other in order of offsets.
func Find(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			out = append(out, p)
			continue
		}
		before := len(out)
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if _, named := BaseOffset(path); err == nil && !d.IsDir() && named {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(out) == before {
			return nil, fmt.Errorf("%s holds no segment files (*%s)", p, Suffix)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// BaseOffset reads the base offset from a data file's name.
func BaseOffset(path string) (int64, bool) {
	stem, ok := strings.CutSuffix(filepath.Base(path), Suffix)
	if !ok || len(stem) != 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(stem, 10, 64)
	return n, err == nil && n >= 0
}
