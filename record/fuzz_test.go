package record

import (
	"bytes"
	"testing"
)

func seeds(f *testing.F, add func([]byte)) {
	for _, name := range []string{"kgo-none", "kgo-gzip", "kgo-snappy", "kgo-lz4", "kgo-zstd", "kgo-txn", "java-none", "java-gzip", "java-snappy", "java-lz4", "java-zstd"} {
		add(stored(f, name))
	}
	add(nil)
}

// FuzzBatch puts bytes through everything that reads a batch: nothing may panic, and what
// Validate accepts must be readable and stay acceptable.
func FuzzBatch(f *testing.F) {
	seeds(f, func(b []byte) { f.Add(b, true) })
	const bound = 1 << 20
	f.Fuzz(func(t *testing.T, p []byte, seal bool) {
		b, rest, err := Split(p)
		if err != nil {
			return
		}
		if len(b)+len(rest) != len(p) {
			t.Fatal("Split lost bytes")
		}
		if seal {
			b.setCRC() // otherwise nearly nothing gets past the CRC
		}
		seq, errf := b.Records(bound)
		n := 0
		for range seq {
			n++
		}
		ParseMarker(b)
		if err := Validate(b, Limits{MaxDecompressed: bound}); err != nil {
			return
		}
		if errf() != nil || n != int(b.NumRecords()) {
			t.Fatalf("accepted with %d of %d records: %v", n, b.NumRecords(), errf())
		}
		for _, c := range allCodecs {
			r, err := Recompress(b, c, 0, bound)
			if err != nil {
				t.Fatal(err)
			}
			if err := Validate(r, Limits{MaxDecompressed: bound}); err != nil {
				t.Fatalf("recompressed with %v: %v", c, err)
			}
		}
	})
}

// FuzzDecompress gives every decoder bytes that were not made for it.
func FuzzDecompress(f *testing.F) {
	for _, c := range allCodecs {
		packed, err := Compress(c, 0, nil, text(2000))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(int8(c), packed)
	}
	seeds(f, func(b []byte) {
		if len(b) > HeaderSize {
			f.Add(int8(b[posAttributes+1]&attrCodec), b[HeaderSize:])
		}
	})
	const bound = 64 << 10
	f.Fuzz(func(t *testing.T, c int8, p []byte) {
		out, err := Decompress(Codec(c), nil, p, bound)
		if len(out) > bound || err != nil && len(out) > 0 {
			t.Fatalf("%d bytes, %v", len(out), err)
		}
	})
}

// FuzzBuilder builds batches from arbitrary records: Validate must accept them and Records give
// back what was added.
func FuzzBuilder(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), "header", int64(t0), int8(0))
	f.Add([]byte(nil), []byte{}, "", int64(-1), int8(4))
	f.Fuzz(func(t *testing.T, key, value []byte, header string, ts int64, codec int8) {
		w := NewBuilder(BuilderOptions{Codec: Codec(codec)})
		in := []Record{{Offset: -1, Timestamp: ts, Key: key, Value: value}, {Timestamp: 5, Value: key, Headers: []Header{{header, value}, {"", nil}}}}
		for _, r := range in {
			w.Add(r)
		}
		b := w.Build()
		if err := Validate(b, Limits{}); err != nil {
			t.Fatal(err)
		}
		if out := records(t, b); !sameRecords(out, in) {
			t.Fatalf("got %v, want %v", out, in)
		}
	})
}

// FuzzUsualRecord compares the two ways to read a record: where the quick one takes it, both find the same.
func FuzzUsualRecord(f *testing.F) {
	seeds(f, func(b []byte) {
		if len(b) > HeaderSize {
			f.Add(Batch(b).Payload())
		}
	})
	f.Add([]byte{16, 0, 0, 0, 2, 'k', 2, 'v', 0})
	f.Add([]byte{24, 0, 0x80, 0x7f, 0x84, 0x01, 1, 6, 'v', 'a', 'l', 0, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		var usual, any fields
		rest, ok := usual.parseUsual(p)
		if !ok {
			return
		}
		want, err := any.parseAny(p)
		if err != nil || len(rest) != len(want) {
			t.Fatalf("%d bytes are left, not %d: %v", len(rest), len(want), err)
		}
		if usual.timestampDelta != any.timestampDelta || usual.offsetDelta != any.offsetDelta || usual.headers != any.headers ||
			!bytes.Equal(usual.key, any.key) || (usual.key == nil) != (any.key == nil) ||
			!bytes.Equal(usual.value, any.value) || (usual.value == nil) != (any.value == nil) {
			t.Fatalf("%+v, not %+v", usual, any)
		}
	})
}
