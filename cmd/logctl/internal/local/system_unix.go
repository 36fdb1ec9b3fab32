//go:build unix && !solaris && !aix

package local

import (
	"io/fs"
	"os"
	"syscall"
)

// detached puts a process into a session of its own, where neither Ctrl-C nor the end of the
// terminal reaches it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// Lock keeps other logctl processes from changing the cluster in dir until the file is closed.
// It returns ErrBusy where one does.
func Lock(dir string) (*os.File, error) {
	f, err := openLock(dir)
	if err != nil {
		return nil, err
	}
	return lock(f)
}

// LockFile takes the lock of a file, such as that of a broker's data directory, until it is closed.
// It returns ErrBusy where somebody has it.
func LockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return lock(f)
}

func lock(f *os.File) (*os.File, error) {
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		f.Close()
		return nil, ErrBusy
	}
	return f, nil
}

// used is what a file takes on disk: less than its length where it has holes.
func used(info fs.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}
