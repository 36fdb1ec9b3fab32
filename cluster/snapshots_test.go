package cluster

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"github.com/hashicorp/raft"
)

// FuzzReadSnapshotHeader: what precedes a streamed snapshot is refused or whole, and nothing is
// allocated for a length that is only announced.
func FuzzReadSnapshotHeader(f *testing.F) {
	var b bytes.Buffer
	if err := writeFramed(&b, raft.InstallSnapshotRequest{Term: 3, Size: 9}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{0, 15, 255, 255, '{'})
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r raft.InstallSnapshotRequest
		if readFramed(bytes.NewReader(b), &r) != nil {
			return
		}
		var again bytes.Buffer
		if err := writeFramed(&again, r); err != nil {
			t.Fatal(err)
		}
		var same raft.InstallSnapshotRequest
		if err := readFramed(&again, &same); err != nil || same.Size != r.Size || same.Term != r.Term {
			t.Fatalf("%+v became %+v, %v", r, same, err)
		}
	})
}

func TestAStreamThatIsNoSnapshotIsRefused(t *testing.T) {
	m := open(t, t.TempDir())
	for _, b := range [][]byte{{255, 255, 255, 255}, {0, 0, 0, 1, '['}} {
		here, there := net.Pipe()
		go func() { _, _ = here.Write(b) }()
		if err := m.ReceiveSnapshot(there); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v: %v", b, err)
		}
		here.Close()
	}
}
