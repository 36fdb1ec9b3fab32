package broker

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"quorumlog/record"
)

// withPayload is a batch of one record whose compressed part is replaced.
func withPayload(codec record.Codec, payload []byte) []byte {
	b := append(bytes.Clone(batchOf("v")[:record.HeaderSize]), payload...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	b[22] = byte(codec)
	recount(b)
	return b
}

func TestCompressedPartsThatCannotBeUnpackedAreRefusedAndNothingIsAppended(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	// Of bombs one will do: what each codec makes of one is tested where they are.
	bomb, err := record.Compress(record.Zstd, 0, nil, make([]byte, maxDecompressed+1))
	if err != nil {
		t.Fatal(err)
	}
	garbage := []byte("this is not compressed")
	for _, c := range []struct {
		name    string
		records []byte
		want    *kerr.Error
	}{
		{"gzip", withPayload(record.Gzip, garbage), kerr.CorruptMessage},
		{"snappy", withPayload(record.Snappy, garbage), kerr.CorruptMessage},
		{"lz4", withPayload(record.LZ4, garbage), kerr.CorruptMessage},
		{"zstd", withPayload(record.Zstd, garbage), kerr.CorruptMessage},
		{"a bomb", withPayload(record.Zstd, bomb), kerr.InvalidRecord},
	} {
		if got := b.produced(produceRequest("t", c.records)); got.ErrorCode != c.want.Code {
			t.Errorf("%s: %v, not %v", c.name, kerr.ErrorForCode(got.ErrorCode), c.want)
		}
	}
	if got := b.produced(produceRequest("t", batchOf("good"))); got.ErrorCode != 0 || got.BaseOffset != 0 {
		t.Errorf("a good batch afterwards: %+v", got)
	}
}
