// Package durable brings files and directories to disk. Everything of a node that must outlive a
// power failure goes through it, except the bolt files and the metadata's snapshots, which look
// after themselves; so a test can put a disk of its own there.
package durable

import (
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// Disk stands in for the disk below a directory.
type Disk interface {
	// Sync returns when the file's bytes, or the directory's entries, are durable.
	Sync(f *os.File) error
}

var (
	replacing sync.Mutex
	replaced  atomic.Pointer[map[string]Disk] // by directory; nil where there is none
)

// Replace has d make durable whatever lies below dir, until undo is called. It is for tests.
func Replace(dir string, d Disk) (undo func()) {
	change(func(m map[string]Disk) { m[dir+"/"] = d })
	return func() { change(func(m map[string]Disk) { delete(m, dir+"/") }) }
}

func change(do func(map[string]Disk)) {
	replacing.Lock()
	defer replacing.Unlock()
	next := map[string]Disk{}
	if now := replaced.Load(); now != nil {
		for dir, d := range *now {
			next[dir] = d
		}
	}
	do(next)
	if len(next) == 0 {
		replaced.Store(nil)
	} else {
		replaced.Store(&next)
	}
}

// diskOf is the disk that a test has put below the file, nil for the system's.
func diskOf(f *os.File) Disk {
	m := replaced.Load()
	if m == nil {
		return nil
	}
	for dir, d := range *m {
		if strings.HasPrefix(f.Name()+"/", dir) {
			return d
		}
	}
	return nil
}

// File makes the file's bytes, and the size needed to read them, durable.
func File(f *os.File) error {
	if d := diskOf(f); d != nil {
		return d.Sync(f)
	}
	return datasync(f)
}

// Together makes files, one at least, and directories of one filesystem durable at once: the whole
// filesystem, whose cost does not grow with their number.
func Together(files []*os.File, dirs []string) error {
	if d := diskOf(files[0]); d != nil {
		for _, f := range files {
			if err := d.Sync(f); err != nil {
				return err
			}
		}
		for _, dir := range dirs {
			if err := Dir(dir); err != nil {
				return err
			}
		}
		return nil
	}
	return syncfs(files[0])
}

// Dir makes the directory's entries durable.
func Dir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	if disk := diskOf(d); disk != nil {
		return disk.Sync(d)
	}
	return d.Sync()
}
