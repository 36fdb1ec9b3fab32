package log

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// nameless reports whether all names of an open file are gone.
func nameless(f *os.File) bool {
	st, err := f.Stat()
	if err != nil {
		return false
	}
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && s.Nlink == 0
}

// alone reports whether nobody has the file open or mapped but through f, in any process: only then
// does the kernel grant a lease for writing.
func alone(f *os.File) bool {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return false
	}
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return err == nil
}
