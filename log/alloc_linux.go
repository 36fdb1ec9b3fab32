package log

import (
	"os"

	"golang.org/x/sys/unix"
)

// allocate gives the file disk blocks for n bytes at off and extends its size over them, so
// that later writes there can neither fail for want of space nor change the file's size: a
// sync then has no metadata to write.
func allocate(f *os.File, off, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, off, n)
		switch err {
		case unix.EINTR:
			continue
		case unix.EOPNOTSUPP, unix.ENOSYS:
			return allocateByWriting(f, off, n)
		case nil:
			return nil
		}
		return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
	}
}

// zeroRange makes n bytes at off read as zeros and keeps their blocks.
func zeroRange(f *os.File, off, n int64) error {
	if n <= 0 {
		return nil
	}
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS {
		return allocateByWriting(f, off, n)
	}
	if err != nil {
		return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
	}
	return nil
}

// writtenFrom returns the first position at or after off that may hold anything but zeros, or
// size where there is none: preallocated space that was never written counts as a hole.
func writtenFrom(f *os.File, off, size int64) int64 {
	at, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if err == unix.ENXIO {
		return size
	}
	if err != nil {
		return off
	}
	return min(max(at, off), size)
}

// writev appends the buffers at off, whole or with an error.
func writev(f *os.File, off int64, bufs [][]byte) error {
	for len(bufs) > 0 {
		var n int
		var err error
		if len(bufs) == 1 { // needs no vector
			n, err = unix.Pwrite(int(f.Fd()), bufs[0], off)
		} else {
			n, err = unix.Pwritev(int(f.Fd()), bufs[:min(len(bufs), 1024)], off)
		}
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &os.PathError{Op: "pwritev", Path: f.Name(), Err: err}
		}
		off += int64(n)
		for n > 0 {
			if n < len(bufs[0]) {
				bufs[0] = bufs[0][n:]
				break
			}
			n -= len(bufs[0])
			bufs = bufs[1:]
		}
		for len(bufs) > 0 && len(bufs[0]) == 0 {
			bufs = bufs[1:]
		}
	}
	return nil
}
