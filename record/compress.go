package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compress appends src, compressed, to dst. Level is the codec's own, as in Kafka's
// compression.gzip.level (1 to 9), compression.lz4.level (1 to 17) and compression.zstd.level
// (up to 22); 0 is the codec's default, and levels beyond the range count as its nearest end.
func Compress(c Codec, level int, dst, src []byte) ([]byte, error) {
	switch c {
	case None:
		return append(dst, src...), nil
	case Gzip:
		return pack(gzipLevel(level), dst, src)
	case Snappy:
		return xerial(dst, src), nil
	case LZ4:
		return pack(lz4Level(level), dst, src)
	case Zstd:
		e, err := zstdEncoder(level)
		if err != nil {
			return dst, err
		}
		return e.EncodeAll(src, dst), nil
	}
	return dst, unsupported(c)
}

// packer is an encoder that can be used again.
type packer interface {
	io.WriteCloser
	Reset(io.Writer)
}

// pack runs src through a pooled encoder.
func pack(pool *sync.Pool, dst, src []byte) ([]byte, error) {
	p, ok := pool.Get().(packer)
	if !ok {
		return dst, fmt.Errorf("no encoder: %w", ErrUnsupportedCodec)
	}
	defer pool.Put(p)
	out := bytes.NewBuffer(dst)
	p.Reset(out)
	if _, err := p.Write(src); err != nil {
		return dst, err
	}
	if err := p.Close(); err != nil {
		return dst, err
	}
	return out.Bytes(), nil
}

// pools holds one pool of encoders a level.
type pools struct {
	mu    sync.Mutex
	level map[int]*sync.Pool
}

func (p *pools) get(level int, create func() any) *sync.Pool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.level == nil {
		p.level = map[int]*sync.Pool{}
	}
	if p.level[level] == nil {
		p.level[level] = &sync.Pool{New: create}
	}
	return p.level[level]
}

var gzippers, lz4ers pools

func gzipLevel(level int) *sync.Pool {
	if level <= 0 {
		level = gzip.DefaultCompression
	}
	level = min(level, gzip.BestCompression)
	return gzippers.get(level, func() any {
		w, err := gzip.NewWriterLevel(nil, level)
		if err != nil {
			return nil
		}
		return w
	})
}

// lz4Levels are the library's; Kafka's 1 to 17 are mapped onto them in order.
var lz4Levels = []lz4.CompressionLevel{lz4.Fast, lz4.Level1, lz4.Level2, lz4.Level3, lz4.Level4,
	lz4.Level5, lz4.Level6, lz4.Level7, lz4.Level8, lz4.Level9}

// lz4Level returns encoders of the frame that Kafka writes: independent blocks of 64 KiB, no
// checksums. By default they are fast, as Kafka's are whatever its level of 9 suggests.
func lz4Level(level int) *sync.Pool {
	i := min(max(level, 0), len(lz4Levels)-1)
	return lz4ers.get(i, func() any {
		w := lz4.NewWriter(nil)
		err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.ConcurrencyOption(1),
			lz4.CompressionLevelOption(lz4Levels[i]))
		if err != nil {
			return nil
		}
		return w
	})
}

var zstdEncoders struct {
	mu    sync.Mutex
	level map[zstd.EncoderLevel]*zstd.Encoder
}

// zstdEncoder returns the one encoder of a level: it is used by any number of goroutines.
func zstdEncoder(level int) (*zstd.Encoder, error) {
	l := zstd.SpeedDefault
	if level != 0 {
		l = zstd.EncoderLevelFromZstd(level)
	}
	p := &zstdEncoders
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.level[l]; e != nil {
		return e, nil
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(l), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	if p.level == nil {
		p.level = map[zstd.EncoderLevel]*zstd.Encoder{}
	}
	p.level[l] = e
	return e, nil
}

// xerialBlock is how much goes into one block of snappy-java's framing, bytes.
const xerialBlock = 32 << 10

// xerial appends src in snappy-java's framing, as Kafka's Java clients and brokers write it.
func xerial(dst, src []byte) []byte {
	dst = append(dst, xerialMagic...)
	dst = binary.BigEndian.AppendUint32(dst, 1) // version
	dst = binary.BigEndian.AppendUint32(dst, 1) // oldest version that can read it
	for len(src) > 0 {
		block := src[:min(len(src), xerialBlock)]
		src = src[len(block):]
		at := len(dst)
		dst = slices.Grow(append(dst, 0, 0, 0, 0), snappy.MaxEncodedLen(len(block)))
		out := snappy.Encode(dst[at+4:cap(dst)], block)
		binary.BigEndian.PutUint32(dst[at:], uint32(len(out)))
		dst = dst[:at+4+len(out)]
	}
	return dst
}
