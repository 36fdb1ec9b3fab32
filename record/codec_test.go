package record

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

func text(n int) []byte {
	b := make([]byte, 0, n+64)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "line %d of a text that repeats itself\n", i)
	}
	return b[:n]
}

func TestCompressionRoundTrips(t *testing.T) {
	for _, c := range allCodecs {
		for _, n := range []int{0, 1, 100, 32 << 10, 100_000, 1 << 20} {
			for _, level := range []int{0, 1, 9, 22, -7} {
				if n > 100_000 && level != 0 {
					continue // slow with the race detector
				}
				src := text(n)
				packed, err := Compress(c, level, []byte("ab"), src)
				if err != nil {
					t.Fatal(err)
				}
				out, err := Decompress(c, []byte("xyz"), packed[2:], n)
				if err != nil || string(packed[:2]) != "ab" || string(out[:3]) != "xyz" || !bytes.Equal(out[3:], src) {
					t.Fatalf("%v level %d, %d bytes: got %d, %v", c, level, n, len(out)-3, err)
				}
				if n > 1 && level == 0 {
					if out, err = Decompress(c, nil, packed[2:], n-1); !errors.Is(err, ErrUnpacked) || len(out) > 0 {
						t.Errorf("%v: %d bytes through a bound of %d: %v", c, len(out), n-1, err)
					}
				}
			}
		}
	}
}

func TestSnappyIsReadInBothFramings(t *testing.T) {
	src := text(100_000)
	out, err := Decompress(Snappy, nil, snappy.Encode(nil, src), len(src))
	if err != nil || !bytes.Equal(out, src) {
		t.Errorf("raw block: %v", err)
	}
	packed, _ := Compress(Snappy, 0, nil, src)
	if want := []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}; !bytes.HasPrefix(packed, want) {
		t.Errorf("header %x", packed[:16])
	}
	// Four blocks: three of 32 KiB and the rest.
	n := 0
	for rest := packed[16:]; len(rest) > 0; n++ {
		rest = rest[4+binary.BigEndian.Uint32(rest):]
	}
	if n != 4 {
		t.Errorf("%d blocks", n)
	}
}

// A few KiB that unpack to megabytes, and headers that announce one, must cost about
// as much memory as the bound allows, not as much as they ask for.
func TestABombCostsNoMoreThanTheBound(t *testing.T) {
	const bound = 1 << 20
	zeros := make([]byte, 2<<20)
	bombs := map[string]struct {
		codec Codec
		src   []byte
	}{}
	for _, c := range allCodecs[1:] {
		packed, err := Compress(c, 1, nil, zeros)
		if err != nil {
			t.Fatal(err)
		}
		bombs["zeros/"+c.String()] = struct {
			codec Codec
			src   []byte
		}{c, packed}
	}
	add := func(name string, c Codec, src []byte) {
		bombs[name] = struct {
			codec Codec
			src   []byte
		}{c, src}
	}
	add("snappy that announces 1 GiB", Snappy, append(binary.AppendUvarint(nil, 1<<30), 0, 0))
	add("snappy that announces just the bound", Snappy, append(binary.AppendUvarint(nil, bound), 0, 0))
	add("zstd that announces 1 GiB", Zstd, []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40, 1, 0, 0})
	add("zstd with a window of 2 GiB", Zstd, []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 1, 0, 0})
	add("xerial chunk of 2 GiB", Snappy, append(append(bytes.Clone(xerialMagic), 0, 0, 0, 1, 0, 0, 0, 1), 0x7f, 0xff, 0xff, 0xff))
	var gz bytes.Buffer
	for range 4 { // members follow each other
		w := gzip.NewWriter(&gz)
		w.Write(zeros)
		w.Close()
	}
	add("many gzip members", Gzip, gz.Bytes())
	enc, _ := zstd.NewWriter(nil)
	frame := enc.EncodeAll(zeros, nil)
	add("many zstd frames", Zstd, bytes.Repeat(frame, 4))
	for name, c := range bombs {
		Decompress(c.codec, nil, c.src, bound) // warm the pools
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out, err := Decompress(c.codec, nil, c.src, bound)
		runtime.ReadMemStats(&after)
		if err == nil || len(out) > 0 {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 16*bound { // what growing step by step adds up to, and a decoder that the pool had lost
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}

func TestCodecsServeManyGoroutines(t *testing.T) {
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			src := text(10_000 + g)
			for i := range 20 {
				c := allCodecs[i%len(allCodecs)]
				packed, err := Compress(c, 0, nil, src)
				if err != nil {
					t.Error(err)
				}
				if out, err := Decompress(c, nil, packed, 20_000+i); err != nil || !bytes.Equal(out, src) {
					t.Errorf("%v: %v", c, err)
				}
				Decompress(c, nil, packed[:len(packed)/2], 20_000) // an error spoils nobody else's decoder
			}
		})
	}
	wg.Wait()
}

func TestCodecNamesAreKafkas(t *testing.T) {
	for _, c := range allCodecs {
		if got, err := ParseCodec(c.String()); err != nil || got != c {
			t.Errorf("%v: %v, %v", c, got, err)
		}
	}
	if got, err := ParseCodec("uncompressed"); err != nil || got != None {
		t.Errorf("uncompressed: %v, %v", got, err)
	}
	if _, err := ParseCodec("brotli"); !errors.Is(err, ErrUnsupportedCodec) {
		t.Error(err)
	}
	if _, err := Compress(5, 0, nil, nil); !errors.Is(err, ErrUnsupportedCodec) {
		t.Error(err)
	}
	if _, err := Decompress(-1, nil, nil, 1); !errors.Is(err, ErrUnsupportedCodec) {
		t.Error(err)
	}
}

func TestRecompressKeepsEverythingElse(t *testing.T) {
	for _, from := range allCodecs {
		b := oneBatch(t, "kgo-"+from.String())
		for _, to := range allCodecs {
			n, err := Recompress(b, to, 0, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if n.Codec() != to || !n.ValidCRC() || !sameRecords(records(t, n), sent()) {
				t.Errorf("%v to %v: %v", from, to, records(t, n))
			}
			if n.ProducerID() != b.ProducerID() || n.MaxTimestamp() != b.MaxTimestamp() || n.BaseOffset() != b.BaseOffset() {
				t.Errorf("%v to %v: the header changed", from, to)
			}
		}
		if _, err := Recompress(b, 6, 0, 1<<20); !errors.Is(err, ErrUnsupportedCodec) {
			t.Error(err)
		}
	}
}

func BenchmarkDecompress(b *testing.B) {
	src := text(1 << 20)
	for _, c := range allCodecs[1:] {
		packed, _ := Compress(c, 0, nil, src)
		b.Run(c.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(src)))
			buf := make([]byte, 0, len(src)+1)
			for b.Loop() {
				if _, err := Decompress(c, buf, packed, len(src)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompress(b *testing.B) {
	src := text(1 << 20)
	for _, c := range allCodecs[1:] {
		b.Run(c.String(), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(src)))
			buf := make([]byte, 0, len(src))
			for b.Loop() {
				if _, err := Compress(c, 0, buf, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
