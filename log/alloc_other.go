//go:build !linux

package log

import "os"

func allocate(f *os.File, off, n int64) error  { return allocateByWriting(f, off, n) }
func zeroRange(f *os.File, off, n int64) error { return allocateByWriting(f, off, n) }

func writtenFrom(f *os.File, off, size int64) int64 { return off }

func writev(f *os.File, off int64, bufs [][]byte) error {
	for _, b := range bufs {
		if _, err := f.WriteAt(b, off); err != nil {
			return err
		}
		off += int64(len(b))
	}
	return nil
}
