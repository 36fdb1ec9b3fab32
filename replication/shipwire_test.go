package replication

import (
	"bytes"
	"encoding/hex"
	"testing"
)

func TestShipBytes(t *testing.T) {
	h := shipHeader{term: 258, group: "g-0", leader: "1/d", address: "1"}
	if got, want := hex.EncodeToString(h.encode()), "514c53540001000000000000010200"+"03672d30"+"0003312f64"+"000131"; got != want {
		t.Errorf("header %s, want %s", got, want)
	}
	var b bytes.Buffer
	if err := (shipAnswer{shipRefused, 7, "no"}).write(&b); err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(b.Bytes()), "04"+"0000000000000007"+"0002"+"6e6f"; got != want {
		t.Errorf("answer %s, want %s", got, want)
	}
}

func FuzzShipHeader(f *testing.F) {
	f.Add(shipHeader{term: 258, group: "g-0", leader: "1/d", address: "1"}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseShipHeader(b); err == nil && !bytes.Equal(h.encode(), b) {
			t.Errorf("%+v is %x, came from %x", h, h.encode(), b)
		}
	})
}

func FuzzShipStream(f *testing.F) {
	var b bytes.Buffer
	shipAnswer{shipGoOn, 7, ""}.write(&b)
	writeMissing(&b, []int64{0, 100})
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		if _, err := readShipAnswer(r); err != nil {
			return
		}
		sizes := []int64{100, 100}
		from, err := readMissing(r, sizes)
		for i := range from {
			if err == nil && (from[i] < 0 || from[i] > sizes[i]) {
				t.Errorf("from %d of %d", from[i], sizes[i])
			}
		}
		if m, err := readManifest(r); err == nil && len(m) > len(b) {
			t.Error("more than there was")
		}
	})
}
