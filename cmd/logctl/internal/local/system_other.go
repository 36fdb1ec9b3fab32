//go:build !unix || solaris || aix

package local

import (
	"io/fs"
	"os"
	"syscall"
)

// detached asks for nothing where the system has no sessions.
func detached() *syscall.SysProcAttr { return nil }

// Lock opens the lock file; here nothing keeps a second logctl out.
func Lock(dir string) (*os.File, error) {
	return openLock(dir)
}

// LockFile opens the file; here nothing keeps others out.
func LockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
}

func used(info fs.FileInfo) int64 { return info.Size() }
