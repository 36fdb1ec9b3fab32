package broker

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Damage in what was acknowledged is not cut off and not served: the partition stops, its files stay as they are, and
// the others go on.
func TestDamagedPartitionIsNotServedAndNothingElseSuffers(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, map[string]*string{"segment.bytes": ptr("1048576")})
	b.topic("other", 1, nil)
	big := string(make([]byte, 700_000))
	b.write("t", big, big, big)
	dir := b.replicas.get(b.meta.Image().Topic("t").ID, 0).dir
	b.stop()
	first := filepath.Join(dir, "00000000000000000000.log")
	damaged, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	damaged[len(damaged)/2] ^= 1
	if err := os.WriteFile(first, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	b.start()

	if got := b.produced(produceRequest("t", batchOf("v"))); got.ErrorCode != kerr.KafkaStorageError.Code {
		t.Errorf("produce: %v", kerr.ErrorForCode(got.ErrorCode))
	}
	if got := b.fetched(fetch11("t")); got.ErrorCode != kerr.KafkaStorageError.Code || len(got.RecordBatches) > 0 {
		t.Errorf("fetch: %v, %d bytes", kerr.ErrorForCode(got.ErrorCode), len(got.RecordBatches))
	}
	if got := b.produced(produceRequest("other", batchOf("v"))); got.ErrorCode != 0 {
		t.Errorf("produce elsewhere: %v", kerr.ErrorForCode(got.ErrorCode))
	}
	if now, err := os.ReadFile(first); err != nil || !bytes.Equal(now, damaged) {
		t.Errorf("the damaged file was changed: %d bytes, %v", len(now), err)
	}
}
