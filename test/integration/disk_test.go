package integration

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

// smallDisk mounts a filesystem of this size (as tmpfs takes it) and returns where.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small filesystem needs root")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no filesystem can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", dir, err, out)
		}
	})
	return dir
}

// A full disk refuses producers, goes on serving readers and recovers by itself, whether the
// reserve stops writing early enough or the system call fails.
func TestFullDiskIsANormalDay(t *testing.T) {
	for name, reserve := range map[string]string{"with a reserve": "16777216", "without one": "0"} {
		t.Run(name, func(t *testing.T) {
			dir := smallDisk(t, "96m")
			b := brokertest.Start(t, "--data-dir", dir, "--set", "log.reserve.bytes="+reserve, "--set", "offsets.topic.num.partitions=1")
			createTopic(t, b, "ballast", 1, map[string]*string{"segment.bytes": ptr("1048576")})
			createTopic(t, b, "t", 1, map[string]*string{"segment.bytes": ptr("1048576")})
			opts := []kgo.Opt{kgo.RecordRetries(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DisableIdempotentWrite(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(30 * time.Second)}
			p := client(t, b, opts...)
			if err := p.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("before")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			acked := fill(t, p, "ballast")
			if got := readAll(t, b, "t")[0]; len(got) != 1 || string(got[0].Value) != "before" {
				t.Fatalf("on a full disk %d records of t were read", len(got))
			}
			if got := readAll(t, b, "ballast")[0]; len(got) < acked {
				t.Fatalf("%d records were acknowledged, %d are there", acked, len(got))
			}
			deleteTopic(t, b, "ballast")
			awaitProduce(t, client(t, b, opts...), "t")
		})
	}
}

// fill produces until the disk is full and returns how many records were acknowledged.
func fill(t *testing.T, p *kgo.Client, topic string) (acked int) {
	t.Helper()
	value := make([]byte, 256<<10)
	for range 2000 {
		err := p.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: value}).FirstErr()
		switch {
		case err == nil:
			acked++
		case errors.Is(err, kerr.KafkaStorageError):
			return acked
		default:
			t.Fatalf("after %d records: %v; want KAFKA_STORAGE_ERROR", acked, err)
		}
	}
	t.Fatal("the disk never filled")
	return 0
}

// awaitProduce produces until it works again.
func awaitProduce(t *testing.T, p *kgo.Client, topic string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := p.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("after")}).FirstErr()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("producing is still refused: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
