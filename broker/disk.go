package broker

import (
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// diskInterval is how often free space is looked at.
const diskInterval = time.Second

// disk watches the free space of the data directory. Below the reserve producers are refused
// before anything is written, so that a full disk never tears a log; reads go on, and writing
// resumes by itself when retention or a person has made room.
type disk struct {
	dir     string
	reserve int64 // bytes
	log     *slog.Logger
	free    func(dir string) (int64, error)

	low atomic.Bool
}

// newDisk watches with free, or with freeBytes where that is nil.
func newDisk(dir string, reserve int64, free func(dir string) (int64, error), log *slog.Logger) *disk {
	if free == nil {
		free = freeBytes
	}
	return &disk{dir: dir, reserve: reserve, log: log, free: free}
}

// freeBytes is what an unprivileged process may still write to the directory's filesystem.
func freeBytes(dir string) (int64, error) {
	_, free, err := diskSpace(dir)
	return free, err
}

// diskSpace returns the bytes that the directory's filesystem has, and those that an unprivileged
// process may still write.
func diskSpace(dir string) (total, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	block := int64(st.Bsize) //nolint:unconvert // its type is another on other systems
	return int64(st.Blocks) * block, int64(st.Bavail) * block, nil
}

// full reports whether producers must be refused.
func (d *disk) full() bool { return d.low.Load() }

// check looks once and reports whether space has just become short.
func (d *disk) check() (became bool) {
	free, err := d.free(d.dir)
	if err != nil {
		d.log.Warn("free space cannot be read", "dir", d.dir, "err", err)
		return false
	}
	low := free < d.reserve
	if low == d.low.Swap(low) {
		return false
	}
	if low {
		d.log.Error("disk is nearly full: producers are refused until there is room; delete topics, lower retention or grow the disk",
			"dir", d.dir, "free_bytes", free, "log.reserve.bytes", d.reserve)
	} else {
		d.log.Info("disk has room again: producers are served", "dir", d.dir, "free_bytes", free)
	}
	return low
}
