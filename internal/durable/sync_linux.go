package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// HasTogether says whether Together is more than File for each.
const HasTogether = true

// Mappings says whether File includes what was written through a shared mapping of the file.
const Mappings = true

func datasync(f *os.File) error { return retry("fdatasync", f, unix.Fdatasync) }
func syncfs(f *os.File) error   { return retry("syncfs", f, unix.Syncfs) }

func retry(op string, f *os.File, call func(fd int) error) error {
	for {
		err := call(int(f.Fd()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return &os.PathError{Op: op, Path: f.Name(), Err: err}
		}
		return nil
	}
}
