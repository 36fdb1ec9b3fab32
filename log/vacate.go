package log

import (
	"os"
	"path/filepath"
	"sync"
	"time"
)

// vacating lets the space of deleted files go little by little, for a whole node. A filesystem that
// frees a segment at once keeps all syncs waiting meanwhile, ten milliseconds for 128 MiB on ext4.
type vacating struct {
	mu      sync.Mutex
	queue   []*os.File
	running bool
	rest    func() // between two steps; a test looks on
}

const (
	vacateStep = 1 << 20
	vacateRest = 2 * time.Millisecond
	// vacateWhole is the size up to which a file goes at once.
	vacateWhole = 4 << 20
	// vacateQueue bounds the files that wait; what is beyond goes at once.
	vacateQueue = 64
	// vacateWait is for how many rests a file's readers are waited for. After that the last one to
	// close it frees it.
	vacateWait = 500
)

// openLarge opens those of the files that are worth it. They are to be given to vacate when their names
// are gone, durably. What cannot be opened goes at once when it is deleted.
func openLarge(paths ...string) (files []*os.File) {
	for _, path := range paths {
		if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() || st.Size() <= vacateWhole {
			continue
		}
		if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil {
			files = append(files, f)
		}
	}
	return files
}

// space opens the segment's files, for vacate.
func (s *segment) space() []*os.File {
	return openLarge(s.path(dataSuffix), s.path(indexSuffix))
}

// vacate closes files and frees the space of those that have no name any more. It does not wait for
// that.
func (v *vacating) vacate(files []*os.File) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range files {
		if !nameless(f) || len(v.queue) >= vacateQueue {
			f.Close()
			continue
		}
		v.queue = append(v.queue, f)
		if !v.running {
			v.running = true
			go v.run()
		}
	}
}

// run empties the queue.
func (v *vacating) run() {
	for {
		v.mu.Lock()
		if len(v.queue) == 0 {
			v.queue, v.running = nil, false
			v.mu.Unlock()
			return
		}
		f := v.queue[0]
		v.queue = v.queue[1:]
		v.mu.Unlock()
		v.shrink(f)
		f.Close()
	}
}

// shrink frees a file's space from its end on, unless others have it open and keep it.
func (v *vacating) shrink(f *os.File) {
	for tries := 0; !alone(f); tries++ {
		if tries == vacateWait {
			return
		}
		v.pause()
	}
	st, err := f.Stat()
	for size := st.Size(); err == nil && size > 0; {
		size = max(size-vacateStep, 0)
		err = f.Truncate(size)
		v.pause()
	}
}

func (v *vacating) pause() {
	if v.rest != nil {
		v.rest()
		return
	}
	time.Sleep(vacateRest)
}

// RemoveAll deletes a directory and what is in it, as os.RemoveAll does; the space of its large
// files goes little by little afterwards.
func (c *Files) RemoveAll(dir string) error {
	names, _ := os.ReadDir(dir) // RemoveAll will say what is wrong with it
	var paths []string
	for _, name := range names[:min(len(names), 2*vacateQueue)] {
		paths = append(paths, filepath.Join(dir, name.Name()))
	}
	files := openLarge(paths...)
	err := os.RemoveAll(dir)
	c.vacating.vacate(files)
	return err
}
