//go:build linux

// Package powerloss is a disk for tests that forgets what was not synced. It is as strict as
// POSIX lets a filesystem be: bytes, and names of files, last from the sync of that file, or of
// that directory, on; whatever else was written may be there, in part, or not.
//
// Bolt files and the metadata's snapshots sync themselves. They are kept as they are at the
// moment of the power failure, but their names last only from the sync of their directory on.
package powerloss

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"quorumlog/internal/durable"
)

// ErrOff is what syncs give after the power failed.
var ErrOff = errors.New("powerloss: the power is off")

// Disk is below one directory.
type Disk struct {
	root string
	undo func()

	mu    sync.Mutex
	off   bool
	nodes map[uint64]*node // by inode
	image map[string]entry // what Cut found to be left, by path below root
}

// node is a file or directory. Its descriptor keeps its number from being given to another.
type node struct {
	f       *os.File
	dir     bool
	synced  bool
	bytes   []byte            // of a file, at its last sync
	entries map[string]uint64 // of a directory, at its last sync
}

// entry is a file, or a directory where dir is set, that outlived the power.
type entry struct {
	dir   bool
	bytes []byte
}

// Luck is how much of what was not synced outlives the power.
type Luck int

// Nothing; of every file and directory something, by chance; everything, as when only the process
// dies.
const (
	None Luck = iota
	Some
	All
)

// New puts a disk below a directory, which must exist.
func New(root string) *Disk {
	d := &Disk{root: root, nodes: map[uint64]*node{}}
	d.undo = durable.Replace(root, d)
	return d
}

// Close takes the disk away.
func (d *Disk) Close() {
	d.undo()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget()
}

func (d *Disk) forget() {
	for _, n := range d.nodes {
		n.f.Close()
	}
	d.nodes = map[uint64]*node{}
}

// Sync remembers a file's bytes or a directory's entries.
func (d *Disk) Sync(f *os.File) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return &os.PathError{Op: "sync", Path: f.Name(), Err: ErrOff}
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	n, err := d.node(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), st)
	if err != nil {
		return err
	}
	if n.dir {
		n.entries, err = d.list(n)
	} else {
		n.bytes, err = content(n.f, st.Size())
	}
	n.synced = err == nil
	return err
}

// node is the one at path, which st describes.
func (d *Disk) node(path string, st fs.FileInfo) (*node, error) {
	ino := st.Sys().(*syscall.Stat_t).Ino
	if n := d.nodes[ino]; n != nil {
		return n, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if mine, err := f.Stat(); err != nil || !os.SameFile(mine, st) {
		f.Close()
		return nil, fmt.Errorf("powerloss: %s was replaced while it was synced: %w", path, fs.ErrNotExist)
	}
	n := &node{f: f, dir: st.IsDir()}
	d.nodes[ino] = n
	return n, nil
}

// list reads a directory's entries as they are now.
func (d *Disk) list(n *node) (map[string]uint64, error) {
	// By way of /proc, since its path may have changed.
	dir := fmt.Sprintf("/proc/self/fd/%d", n.f.Fd())
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // as after it was removed
		return nil, err
	}
	out := map[string]uint64{}
	for _, e := range names {
		path := filepath.Join(dir, e.Name())
		st, err := os.Lstat(path)
		if err != nil {
			continue // gone meanwhile
		}
		if _, err := d.node(path, st); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, err
		}
		out[e.Name()] = st.Sys().(*syscall.Stat_t).Ino
	}
	return out, nil
}

// seekData and seekHole are Linux's; what lies between is not read.
const (
	seekData = 3
	seekHole = 4
)

// content reads a file, leaving out its holes.
func content(f *os.File, size int64) ([]byte, error) {
	b := make([]byte, size)
	for at := int64(0); at < size; {
		from, err := syscall.Seek(int(f.Fd()), at, seekData)
		if err == syscall.ENXIO {
			break
		}
		if err != nil {
			return nil, err
		}
		to, err := syscall.Seek(int(f.Fd()), from, seekHole)
		if err != nil {
			return nil, err
		}
		to = min(to, size)
		if from >= to {
			break
		}
		if _, err := f.ReadAt(b[from:to], from); err != nil && err != io.EOF {
			return nil, err
		}
		at = to
	}
	return b, nil
}

// Cut takes the power away: nothing becomes durable any more. What is left is decided here, by
// luck and chance.
func (d *Disk) Cut(luck Luck, chance *rand.Rand) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	d.image = map[string]entry{}
	root, err := os.Stat(d.root)
	if err != nil {
		return err
	}
	n, err := d.node(d.root, root)
	if err != nil {
		return err
	}
	return d.survey(n, "", luck, chance)
}

// survey decides what is left of a directory.
func (d *Disk) survey(n *node, below string, luck Luck, chance *rand.Rand) error {
	entries := n.entries
	if lucky(luck, chance) {
		now, err := d.list(n)
		if err != nil {
			return err
		}
		entries = now
	}
	for name, ino := range entries {
		path, child := filepath.Join(below, name), d.nodes[ino]
		switch {
		case syncsItself(path):
			e, err := keepTree(d.image, filepath.Join(d.root, path), path)
			if err != nil {
				return err
			}
			if e != nil {
				d.image[path] = *e
			}
		case child.dir:
			d.image[path] = entry{dir: true}
			if err := d.survey(child, path, luck, chance); err != nil {
				return err
			}
		default:
			b, err := child.remains(luck, chance)
			if err != nil {
				return err
			}
			d.image[path] = entry{bytes: b}
		}
	}
	return nil
}

func lucky(luck Luck, chance *rand.Rand) bool {
	return luck == All || luck == Some && chance.IntN(2) == 0
}

// page is what a disk writes whole.
const page = 4096

// remains is a file's content after the power failed.
func (n *node) remains(luck Luck, chance *rand.Rand) ([]byte, error) {
	if luck == None {
		return n.bytes, nil
	}
	st, err := n.f.Stat()
	if err != nil {
		return nil, err
	}
	now, err := content(n.f, st.Size())
	if err != nil || luck == All {
		return now, err
	}
	size := len(n.bytes)
	if lucky(luck, chance) {
		size = len(now)
	}
	b := make([]byte, size)
	copy(b, n.bytes)
	if !lucky(luck, chance) { // the file as it was, be it longer or shorter
		return b, nil
	}
	for at := 0; at < min(size, len(now)); at += page {
		if lucky(luck, chance) {
			copy(b[at:min(at+page, size)], now[at:])
		}
	}
	return b, nil
}

// syncsItself reports whether a file or directory below root is bolt's or Raft's.
func syncsItself(path string) bool {
	return strings.HasSuffix(path, ".db") || filepath.Dir(path) == "cluster"
}

// keepTree puts what lies below a path into the image, as it is.
func keepTree(image map[string]entry, path, below string) (*entry, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		b, err := snapshot(path)
		return &entry{bytes: b}, err
	}
	names, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	for _, e := range names {
		name := filepath.Join(below, e.Name())
		kept, err := keepTree(image, filepath.Join(path, e.Name()), name)
		if err != nil {
			return nil, err
		}
		if kept != nil {
			image[name] = *kept
		}
	}
	return &entry{dir: true}, nil
}

// snapshot reads a file as of one moment. While bolt's two meta pages stay the same, it has not
// overwritten anything that they lead to.
func snapshot(path string) ([]byte, error) {
	for range 1000 {
		before, err := head(path)
		if err != nil {
			return nil, err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		after, err := head(path)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(before, after) && bytes.HasPrefix(b, before) {
			return b, nil
		}
	}
	return nil, fmt.Errorf("powerloss: %s is always being written", path)
}

func head(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, 2*page)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// Restore makes the directory what was left of it, and gives the power back. Nobody may have
// files open there.
func (d *Disk) Restore() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.image == nil {
		return errors.New("powerloss: Restore without Cut")
	}
	d.forget()
	old, err := os.ReadDir(d.root)
	if err != nil {
		return err
	}
	for _, e := range old {
		if err := os.RemoveAll(filepath.Join(d.root, e.Name())); err != nil {
			return err
		}
	}
	for path, e := range d.image {
		full := filepath.Join(d.root, path)
		if e.dir {
			err = os.MkdirAll(full, 0o755)
		} else if err = os.MkdirAll(filepath.Dir(full), 0o755); err == nil {
			err = os.WriteFile(full, e.bytes, 0o644)
		}
		if err != nil {
			return err
		}
	}
	d.image, d.off = nil, false
	return d.settle(d.root)
}

// settle takes what is there now for durable.
func (d *Disk) settle(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	n, err := d.node(path, st)
	if err != nil {
		return err
	}
	n.synced = true
	if !n.dir {
		n.bytes, err = content(n.f, st.Size())
		return err
	}
	if n.entries, err = d.list(n); err != nil {
		return err
	}
	for name := range n.entries {
		if err := d.settle(filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}
