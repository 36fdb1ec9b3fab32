package peers

import "quorumlog/internal/bufpool"

// requestBuffers recycles the memory of incoming requests. Most are of AppendEntries, which Raft's
// replication holds to a megabyte or so.
var requestBuffers = bufpool.NewPool(8 << 20)

// getBuffer returns room for size bytes, nil for so many that memory has to grow as they arrive.
func getBuffer(size int) []byte {
	if size > firstRead {
		return nil
	}
	return requestBuffers.Get(size)[:0]
}

func putBuffer(b []byte) { requestBuffers.Put(b) }
