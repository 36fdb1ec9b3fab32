package peers

import (
	"math/bits"
	"sync"
)

// buffers recycles the memory of incoming requests, by powers of two.
var buffers [poolMax + 1]sync.Pool

const (
	poolMin = 9  // 512 B
	poolMax = 21 // firstRead
)

func getBuffer(size int) []byte {
	class := max(bits.Len(uint(max(size, 1)-1)), poolMin)
	if class > poolMax {
		return nil
	}
	if b, ok := buffers[class].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 1<<class)
}

func putBuffer(b []byte) {
	class := bits.Len(uint(cap(b))) - 1
	if class < poolMin || class > poolMax || cap(b) != 1<<class {
		return
	}
	buffers[class].Put(&b)
}
