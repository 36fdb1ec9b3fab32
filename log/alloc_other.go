//go:build !linux

package log

import "os"

func allocate(f *os.File, off, n int64) error  { return allocateByWriting(f, off, n) }
func zeroRange(f *os.File, off, n int64) error { return allocateByWriting(f, off, n) }
func datasync(f *os.File) error                { return f.Sync() }
func syncfs(f *os.File) error                  { return f.Sync() }

const hasSyncfs = false

const syncsMappings = false

func writtenFrom(f *os.File, off, size int64) int64 { return off }

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func writev(f *os.File, off int64, bufs [][]byte) error {
	for _, b := range bufs {
		if _, err := f.WriteAt(b, off); err != nil {
			return err
		}
		off += int64(len(b))
	}
	return nil
}
