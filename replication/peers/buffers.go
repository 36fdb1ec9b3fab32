package peers

import "quorumlog/internal/bufpool"

// getBuffer returns room for a request of size bytes, nil for so many that memory has to grow as they
// arrive. Most are of AppendEntries, which Raft's replication holds to a megabyte or so.
func getBuffer(size int) []byte {
	if size > firstRead {
		return nil
	}
	return bufpool.Get(size)[:0]
}
