package integration

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

func TestHugeAnnouncementsCostNothingAndDisturbNobody(t *testing.T) {
	b := brokertest.Start(t)
	createTopic(t, b, "t", 1, nil)
	for range 400 {
		nc, err := net.Dial("tcp", b.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		frame := binary.BigEndian.AppendUint32(nil, 100<<20)
		if _, err := nc.Write(append(frame, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	p := client(t, b, kgo.DefaultProduceTopic("t"))
	begin := time.Now()
	for range 100 {
		if err := p.ProduceSync(t.Context(), kgo.SliceRecord(make([]byte, 100<<10))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("100 records beside 400 half requests: %v", time.Since(begin))
	limit := int64(256 << 20)
	if got := anonymous(t, b.Pid()); got > limit {
		t.Errorf("%d MiB of memory; want at most %d", got>>20, limit>>20)
	}
}

func TestGarbageClosesTheConnectionAndNothingElse(t *testing.T) {
	b := brokertest.Start(t)
	frame := func(body ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	}
	for name, sent := range map[string][]byte{
		"a negative length":        {0xff, 0xff, 0xff, 0xff},
		"more than the limit":      {0x7f, 0xff, 0xff, 0xff},
		"an empty frame":           frame(),
		"half a header":            frame(0, 3),
		"an unknown API":           frame(3, 0xe8, 0, 0, 0, 0, 0, 1, 0xff, 0xff),
		"an unsupported version":   frame(0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff),
		"a count without elements": frame(0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff),
		"an HTTP request":          []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"a TLS handshake":          {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03},
	} {
		nc, err := net.Dial("tcp", b.Addr)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := nc.Write(sent); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(nc); len(answer) > 0 || os.IsTimeout(err) {
			t.Errorf("%s: answered % x, %v; want a closed connection", name, answer, err)
		}
		nc.Close()
	}
	createTopic(t, b, "t", 1, nil)
}

func TestUnknownApiVersionsIsAnsweredInVersionZero(t *testing.T) {
	b := brokertest.Start(t)
	nc, err := net.Dial("tcp", b.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(5 * time.Second))
	nc.Write([]byte{0, 0, 0, 10, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff})
	answer := make([]byte, 4+4+2+4+6)
	if _, err := io.ReadFull(nc, answer); err != nil {
		t.Fatal(err)
	}
	want := []byte{0, 0, 0, 16, 0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 5}
	if !bytes.Equal(answer, want) {
		t.Errorf("% x; want % x", answer, want)
	}
}

func TestStartIsRefusedInASentence(t *testing.T) {
	b := brokertest.Start(t)
	newer := t.TempDir()
	if err := os.WriteFile(filepath.Join(newer, "node.json"), []byte(`{"format":99,"node_id":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	nameless := t.TempDir()
	if err := os.Mkdir(filepath.Join(nameless, "topics"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args   []string
		status int
		words  []string
	}{
		"a data directory in use":  {[]string{"--listen", "127.0.0.1:0", "--data-dir", b.Dir}, 1, []string{b.Dir, strconv.Itoa(b.Pid())}},
		"a port in use":            {[]string{"--listen", b.Addr, "--data-dir", t.TempDir()}, 1, []string{b.Addr, "--listen"}},
		"a newer format":           {[]string{"--listen", "127.0.0.1:0", "--data-dir", newer}, 1, []string{newer, "99"}},
		"data of nobody":           {[]string{"--listen", "127.0.0.1:0", "--data-dir", nameless}, 1, []string{nameless}},
		"another node's data":      {[]string{"--listen", "127.0.0.1:0", "--data-dir", stopped(t), "--node-id", "7"}, 1, []string{"7", "1"}},
		"an unknown flag":          {[]string{"--lissten", "x"}, 2, []string{"--lissten", "--listen"}},
		"an unknown setting":       {[]string{"--set", "log.retention.hour=1"}, 2, []string{"log.retention.hour", "log.retention.hours"}},
		"a bad value of a setting": {[]string{"--set", "num.partitions=many"}, 2, []string{"num.partitions", "many"}},
	} {
		t.Run(name, func(t *testing.T) {
			status, stderr := brokertest.Run(t, tc.args...)
			if status != tc.status {
				t.Errorf("exit status %d; want %d", status, tc.status)
			}
			for _, w := range tc.words {
				if !strings.Contains(stderr, w) {
					t.Errorf("%q is not in: %s", w, stderr)
				}
			}
		})
	}
}

// stopped returns the data directory of a broker that has been stopped.
func stopped(t *testing.T) string {
	b := brokertest.Start(t)
	b.Stop()
	return b.Dir
}
