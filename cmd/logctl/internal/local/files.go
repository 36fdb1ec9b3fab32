package local

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	lockFile = "local.lock"
	// logKeep is how long a log may be when its node is started again; a longer one becomes the
	// old log, and the old one goes.
	logKeep = 32 << 20
	oldLog  = ".old"
)

func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logKeep {
		if err := os.Rename(path, path+oldLog); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

func openLock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
}

// Size is what a node's data takes on disk, in bytes. Files that go meanwhile do not count.
func (c *Cluster) Size(n *Node) int64 {
	total := int64(0)
	_ = filepath.WalkDir(c.DataDir(n), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that has gone takes nothing
		}
		if info, err := d.Info(); err == nil {
			total += used(info)
		}
		return nil
	})
	return total
}

// Delete removes the cluster's files, and the directory where nothing else is in it.
func (c *Cluster) Delete() error {
	var errs []error
	for _, n := range c.Nodes {
		errs = append(errs, os.RemoveAll(c.DataDir(n)), os.RemoveAll(c.LogFile(n)), os.RemoveAll(c.LogFile(n)+oldLog))
	}
	if err := errors.Join(errs...); err != nil {
		return err // local.json stays, so that it can be repeated
	}
	if err := os.Remove(filepath.Join(c.dir, stateFile)); err != nil {
		return err
	}
	_ = os.Remove(filepath.Join(c.dir, lockFile))
	_ = os.Remove(c.dir)
	return nil
}

// tailBytes bounds how much of a log is read for its last lines.
const tailBytes = 1 << 20

// Tail returns the last lines of a file, n at most, and where the file ends.
func Tail(f *os.File, n int) (lines []byte, end int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	end = info.Size()
	from := max(0, end-tailBytes)
	b := make([]byte, end-from)
	read, err := f.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	return lastLines(b[:read], n), from + int64(read), nil
}

// lastLines returns the last n lines of b; a line that is not ended yet is one.
func lastLines(b []byte, n int) []byte {
	if n <= 0 {
		return nil
	}
	at := len(b)
	if at > 0 && b[at-1] == '\n' {
		at--
	}
	for range n {
		if at = bytes.LastIndexByte(b[:at], '\n'); at < 0 {
			return b
		}
	}
	return b[at+1:]
}
