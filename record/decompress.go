package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/pierrec/lz4/v4"
)

// Decompress appends what src unpacks to, at most max bytes, to dst. The errors are ErrUnpacked,
// ErrCorrupt and ErrUnsupportedCodec. Memory grows with what was really unpacked, never with
// what src announces, and not beyond max.
func Decompress(c Codec, dst, src []byte, max int) ([]byte, error) {
	var err error
	switch c {
	case None:
		if len(src) > max {
			return dst, tooLarge(max)
		}
		return append(dst, src...), nil
	case Gzip:
		dst, err = gunzip(dst, src, max)
	case Snappy:
		dst, err = unsnappy(dst, src, max)
	case LZ4:
		dst, err = unlz4(dst, src, max)
	case Zstd:
		dst, err = unzstd(dst, src, max)
	default:
		return dst, unsupported(c)
	}
	if err != nil && !errors.Is(err, ErrUnpacked) {
		err = fmt.Errorf("%v: %w: %w", c, err, ErrCorrupt)
	}
	return dst, err
}

func tooLarge(max int) error { return fmt.Errorf("more than %d bytes unpacked: %w", max, ErrUnpacked) }

// readBounded appends all of r to dst, at most max bytes.
func readBounded(dst []byte, r io.Reader, max int) ([]byte, error) {
	start := len(dst)
	for {
		if len(dst) == cap(dst) {
			// One byte more than allowed shows that there is too much.
			room := min(1+max-(len(dst)-start), 512+len(dst))
			dst = grow(dst, room)
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), start+max+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst)-start > max:
			return dst[:start], tooLarge(max)
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst[:start], err
		}
	}
}

// grow makes room for n bytes more and, unlike slices.Grow, for no others.
func grow(dst []byte, n int) []byte {
	if cap(dst)-len(dst) >= n {
		return dst
	}
	return append(make([]byte, 0, len(dst)+n), dst...)
}

// source is a pooled reader over bytes.
type source[T any] struct {
	in bytes.Reader
	r  T
}

func (s *source[T]) reset(src []byte) { s.in.Reset(src) }

var gunzippers = sync.Pool{New: func() any { return &source[*gzip.Reader]{r: new(gzip.Reader)} }}

func gunzip(dst, src []byte, max int) ([]byte, error) {
	s := gunzippers.Get().(*source[*gzip.Reader])
	defer func() { s.reset(nil); gunzippers.Put(s) }()
	s.reset(src)
	if err := s.r.Reset(&s.in); err != nil {
		return dst, noEOF(err)
	}
	return readBounded(dst, s.r, max)
}

// noEOF is for a stream that ended before it began: that is no regular end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

var unlz4ers = sync.Pool{New: func() any { return &source[*lz4.Reader]{r: lz4.NewReader(nil)} }}

// lz4Magic begins a frame. The legacy frame of the lz4 tool has another: Kafka knows it not.
const lz4Magic = 0x184d2204

var errLZ4Frame = errors.New("not a frame of independent blocks")

func unlz4(dst, src []byte, max int) ([]byte, error) {
	const version, independent = 0x40, 0x20
	if len(src) < 7 || binary.LittleEndian.Uint32(src) != lz4Magic || src[4]&0xc0 != version || src[4]&independent == 0 {
		return dst, errLZ4Frame
	}
	s := unlz4ers.Get().(*source[*lz4.Reader])
	defer func() { s.reset(nil); unlz4ers.Put(s) }()
	s.reset(src)
	s.r.Reset(&s.in)
	return readBounded(dst, s.r, max)
}

// xerialMagic begins the framing of snappy-java, which Kafka's Java clients write: then follow
// version and compatible version, int32 each, and chunks of a length, int32, and a snappy block.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const xerialHeader = 16

var errSnappy = errors.New("malformed block")

func unsnappy(dst, src []byte, max int) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		return unsnappyBlock(dst, src, max)
	}
	if len(src) < xerialHeader {
		return dst, errSnappy
	}
	start := len(dst)
	for src = src[xerialHeader:]; len(src) > 0; {
		if len(src) < 4 {
			return dst[:start], errSnappy
		}
		n := int64(int32(binary.BigEndian.Uint32(src)))
		if n < 0 || n > int64(len(src)-4) {
			return dst[:start], errSnappy
		}
		var err error
		if dst, err = unsnappyBlock(dst, src[4:4+n], max-(len(dst)-start)); err != nil {
			return dst[:start], err
		}
		src = src[4+n:]
	}
	return dst, nil
}

// maxSnappyRatio is what a byte of a snappy block can unpack to, at most: three bytes copy 64.
const maxSnappyRatio = 22

func unsnappyBlock(dst, src []byte, max int) ([]byte, error) {
	n, err := snappy.DecodedLen(src)
	switch {
	case err != nil:
		return dst, err
	case n > max:
		return dst, tooLarge(max)
	case n > maxSnappyRatio*len(src):
		return dst, errSnappy
	}
	start := len(dst)
	dst = slices.Grow(dst, n)
	if _, err := snappy.DecodeStrict(dst[start:start+n:start+n], src); err != nil {
		return dst[:start], err
	}
	return dst[:start+n], nil
}
