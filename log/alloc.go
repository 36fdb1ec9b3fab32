package log

import "os"

// allocateByWriting is allocate and zeroRange for filesystems without fallocate.
func allocateByWriting(f *os.File, off, n int64) error {
	zeros := make([]byte, min(n, 256<<10))
	for n > 0 {
		c := min(n, int64(len(zeros)))
		if _, err := f.WriteAt(zeros[:c], off); err != nil {
			return err
		}
		off, n = off+c, n-c
	}
	return nil
}
