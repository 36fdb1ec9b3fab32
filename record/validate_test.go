package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

func sealed(b Batch, change func(Batch)) Batch {
	change(b)
	b.setCRC()
	return b
}

func plain(opts BuilderOptions, n int) Batch {
	w := NewBuilder(opts)
	for i := range n {
		w.Add(Record{Timestamp: t0 + int64(i), Key: []byte("k"), Value: []byte("value")})
	}
	return w.Build()
}

// handmade is a batch of n records whose bodies are given.
func handmade(n int, bodies ...[]byte) Batch {
	b := plain(BuilderOptions{}, 1)[:HeaderSize:HeaderSize]
	for _, r := range bodies {
		b = binary.AppendVarint(b, int64(len(r)))
		b = append(b, r...)
	}
	return resized(b, n)
}

func resized(b Batch, n int) Batch {
	binary.BigEndian.PutUint32(b[posLength:], uint32(len(b)-lengthOverhead))
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(n-1))
	binary.BigEndian.PutUint32(b[posNumRecords:], uint32(n))
	b.setCRC()
	return b
}

func put32(i int, v uint32) func(Batch) {
	return func(b Batch) { binary.BigEndian.PutUint32(b[i:], v) }
}

func flag(bits byte) func(Batch) { return func(b Batch) { b[posAttributes+1] |= bits } }

// body is attributes, timestamp delta, offset delta, key "k", value "v", no headers.
var body = []byte{0, 0, 0, 2, 'k', 2, 'v', 0}

// Apache Kafka 4.3.1 was given the same batches. Where it is more lenient, the comment says so.
func TestValidateRefusesWhatKafkaRefuses(t *testing.T) {
	var (
		one  = func() Batch { return plain(BuilderOptions{}, 2) }
		with = func(p Producer) Batch { return plain(BuilderOptions{Producer: &p}, 2) }
	)
	for name, c := range map[string]struct {
		b    Batch
		want error
	}{
		"control batch":               {sealed(one(), flag(attrControl)), ErrInvalid},
		"no producer id in a txn":     {sealed(one(), flag(attrTransactional)), ErrInvalid},
		"delete horizon":              {sealed(one(), flag(attrDeleteHorizon)), ErrInvalid},   // Kafka: ok
		"log append time":             {sealed(one(), flag(attrLogAppendTime)), ErrTimestamp}, // Kafka: ok where the topic has create time
		"codec 5":                     {sealed(one(), flag(5)), ErrUnsupportedCodec},
		"codec 7":                     {sealed(one(), flag(7)), ErrUnsupportedCodec},
		"sequence -1":                 {with(Producer{7, 0, -1}), ErrInvalid},
		"producer epoch -1":           {with(Producer{7, -1, 0}), ErrInvalid}, // Kafka: ok
		"base offset":                 {sealed(one(), func(b Batch) { b.SetBaseOffset(99) }), ErrInvalid},
		"count beyond delta":          {sealed(one(), put32(posNumRecords, 3)), ErrInvalid},
		"count beyond records":        {resized(one(), 3), ErrInvalid},
		"count below records":         {resized(one(), 1), ErrInvalid},
		"count zero":                  {sealed(one(), put32(posNumRecords, 0)), ErrInvalid},
		"count negative":              {resized(one(), -1), ErrInvalid},
		"no record":                   {plain(BuilderOptions{}, 0), ErrInvalid},
		"bad CRC":                     {func() Batch { b := one(); b[posCRC]++; return b }(), ErrCorrupt},
		"cut off":                     {one()[:80], ErrCorrupt},
		"less than a header":          {one()[:20], ErrCorrupt},
		"message format 1":            {func() Batch { b := one(); b[posMagic] = 1; return b }(), ErrMagic},
		"equal offsets":               {handmade(2, body, body), ErrInvalid},                      // Kafka: ok
		"a gap in the offsets":        {handmade(2, body, []byte{0, 0, 10, 1, 1, 0}), ErrInvalid}, // Kafka: ok
		"negative record size":        {sealed(handmade(1, body), func(b Batch) { b[61] = 3 }), ErrInvalid},
		"record beyond its size":      {sealed(handmade(1, body), func(b Batch) { b[61] -= 2 }), ErrInvalid},
		"record short of its size":    {handmade(1, append(bytes.Clone(body), 9, 9)), ErrInvalid},
		"record beyond the batch":     {sealed(handmade(1, body), func(b Batch) { b[61] += 2 }), ErrInvalid},
		"empty record":                {handmade(1, nil), ErrInvalid},
		"bytes after the last record": {resized(append(handmade(1, body), 1, 2, 3), 1), ErrInvalid},
		"header count -1":             {handmade(1, []byte{0, 0, 0, 2, 'k', 2, 'v', 1}), ErrInvalid},
		"huge header count":           {handmade(1, []byte{0, 0, 0, 2, 'k', 2, 'v', 0xfe, 0xff, 0xff, 0xff, 0x0f}), ErrInvalid},
		"header key -1":               {handmade(1, []byte{0, 0, 0, 2, 'k', 2, 'v', 2, 1, 2, 'x'}), ErrInvalid},
		"header value beyond record":  {handmade(1, []byte{0, 0, 0, 2, 'k', 2, 'v', 2, 2, 'h', 4, 'x'}), ErrInvalid},
		"varint of seven bytes":       {handmade(1, []byte{0, 0, 0, 0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 'k', 2, 'v', 0}), ErrInvalid},
		"key beyond the record":       {handmade(1, []byte{0, 0, 0, 100, 'k', 2, 'v', 0}), ErrInvalid},
		"gzip garbage":                {sealed(one(), flag(byte(Gzip))), ErrCorrupt},
		"snappy garbage":              {sealed(one(), flag(byte(Snappy))), ErrCorrupt},
		"lz4 garbage":                 {sealed(one(), flag(byte(LZ4))), ErrCorrupt},
		"zstd garbage":                {sealed(one(), flag(byte(Zstd))), ErrCorrupt},
	} {
		before := bytes.Clone(c.b)
		if err := Validate(c.b, Limits{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if !bytes.Equal(before, c.b) {
			t.Errorf("%s: a refused batch was changed", name)
		}
	}
}

func TestValidateAcceptsWhatKafkaAccepts(t *testing.T) {
	for name, b := range map[string]Batch{
		"one record":            handmade(1, body),
		"key size -2":           handmade(1, []byte{0, 0, 0, 3, 2, 'v', 0}),
		"value size -2":         handmade(1, []byte{0, 0, 0, 2, 'k', 3, 0}),
		"header value -2":       handmade(1, []byte{0, 0, 0, 2, 'k', 2, 'v', 2, 2, 'h', 3}),
		"negative timestamp":    handmade(1, []byte{0, 1, 0, 2, 'k', 2, 'v', 0}),
		"a varint of two bytes": handmade(1, []byte{0, 0, 0, 0x82, 0, 'k', 2, 'v', 0}),
		"record attributes":     handmade(1, []byte{7, 0, 0, 2, 'k', 2, 'v', 0}),
		"base offset 0":         sealed(plain(BuilderOptions{}, 2), func(b Batch) { b.SetBaseOffset(0) }),
		"a transaction":         plain(BuilderOptions{Producer: &Producer{ID: 1}, Transactional: true}, 2),
		"gzip":                  plain(BuilderOptions{Codec: Gzip}, 2),
		"snappy":                plain(BuilderOptions{Codec: Snappy}, 2),
		"lz4":                   plain(BuilderOptions{Codec: LZ4}, 2),
		"zstd":                  plain(BuilderOptions{Codec: Zstd}, 2),
	} {
		if err := Validate(b, Limits{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidateCorrectsTheMaxTimestamp(t *testing.T) {
	b := sealed(plain(BuilderOptions{}, 3), func(b Batch) { b.setMaxTimestamp(5) })
	if err := Validate(b, Limits{}); err != nil {
		t.Fatal(err)
	}
	if b.MaxTimestamp() != t0+2 || !b.ValidCRC() {
		t.Errorf("max timestamp %d, CRC valid %v", b.MaxTimestamp(), b.ValidCRC())
	}
}

func TestLimitsOfATopic(t *testing.T) {
	keyless := NewBuilder(BuilderOptions{Codec: LZ4})
	keyless.Add(Record{Timestamp: t0, Key: []byte{}})
	keyless.Add(Record{Timestamp: t0})
	noKey := keyless.Build()
	for _, c := range []struct {
		name   string
		b      Batch
		l      Limits
		want   error
		record int // the one to blame, -1 for the batch
	}{
		{"second record has no key", noKey, Limits{RequireKey: true}, ErrInvalid, 1},
		{"largest batch", noKey, Limits{MaxBatchBytes: len(noKey)}, nil, -1},
		{"a byte too many", noKey, Limits{MaxBatchBytes: len(noKey) - 1}, ErrTooLarge, -1},
		{"unpacks to more than allowed", plain(BuilderOptions{Codec: Gzip}, 50), Limits{MaxDecompressed: 100}, ErrUnpacked, -1},
		{"zstd where it is not known", plain(BuilderOptions{Codec: Zstd}, 2), Limits{NoZstd: true}, ErrUnsupportedCodec, -1},
		{"within the time bounds", plain(BuilderOptions{}, 3), Limits{MinTimestamp: t0, MaxTimestamp: t0 + 2}, nil, -1},
		{"too new", plain(BuilderOptions{}, 3), Limits{MaxTimestamp: t0 + 1}, ErrTimestamp, 2},
		{"too old", plain(BuilderOptions{}, 3), Limits{MinTimestamp: t0 + 1, MaxTimestamp: t0 + 9}, ErrTimestamp, 0},
	} {
		err := Validate(c.b, c.l)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		var r RecordErrors
		if errors.As(err, &r) != (c.record >= 0) || r != nil && r[0].Index != c.record {
			t.Errorf("%s: %v blames a wrong record", c.name, err)
		}
	}
}

func TestEveryRefusedRecordIsNamed(t *testing.T) {
	w := NewBuilder(BuilderOptions{})
	for i := range 6 {
		r := Record{Timestamp: t0, Key: []byte("k"), Value: []byte("v")}
		switch i {
		case 1, 4:
			r.Key = nil
		case 3:
			r.Timestamp = t0 + 50
		}
		w.Add(r)
	}
	b := w.Build()
	for _, c := range []struct {
		limits Limits
		want   error
		bad    []int
	}{
		{Limits{RequireKey: true}, ErrInvalid, []int{1, 4}},
		{Limits{RequireKey: true, MaxTimestamp: t0 + 9}, ErrTimestamp, []int{1, 3, 4}},
	} {
		err := Validate(b, c.limits)
		var errs RecordErrors
		if !errors.As(err, &errs) || !errors.Is(err, c.want) {
			t.Fatalf("%v, want %v", err, c.want)
		}
		var got []int
		for _, e := range errs {
			got = append(got, e.Index)
		}
		if !slices.Equal(got, c.bad) {
			t.Errorf("records %v were refused, want %v", got, c.bad)
		}
	}
}

// batchOf holds n records with values of size bytes.
func batchOf(codec Codec, n, size int) Batch {
	w := NewBuilder(BuilderOptions{Codec: codec})
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(i*i>>3) ^ byte(i)
	}
	for i := range n {
		binary.BigEndian.PutUint32(value, uint32(i))
		w.Add(Record{Timestamp: t0 + int64(i), Key: []byte("key"), Value: value})
	}
	return w.Build()
}

func TestValidateAllocatesNothingForAGoodBatch(t *testing.T) {
	b := batchOf(None, 100, 100)
	if n := testing.AllocsPerRun(20, func() {
		if err := Validate(b, Limits{MaxBatchBytes: 1 << 20}); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, c := range []struct {
		name    string
		codec   Codec
		n, size int
	}{
		{"1KiBx1000", None, 1000, 1024}, {"100Bx10000", None, 10000, 100}, {"1KiBx1", None, 1, 1024},
		{"100Bx10000/gzip", Gzip, 10000, 100}, {"100Bx10000/snappy", Snappy, 10000, 100},
		{"100Bx10000/lz4", LZ4, 10000, 100}, {"100Bx10000/zstd", Zstd, 10000, 100},
	} {
		b.Run(c.name, func(b *testing.B) {
			batch := batchOf(c.codec, c.n, c.size)
			b.ReportAllocs()
			b.SetBytes(int64(c.n * c.size))
			for b.Loop() {
				if err := Validate(batch, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkChecksum(b *testing.B) {
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		Checksum(p)
	}
}
