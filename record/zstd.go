package record

import (
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow is the largest window that Kafka's own library reads, bytes.
const maxZstdWindow = 128 << 20

var unzstders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil
	}
	return d
}}

// unzstd unpacks into the capacity of dst, so nothing is allocated for a frame's window. The
// decoder's errors do not tell output beyond the capacity from malformed input, so after any
// error there is another try with more room, as long as more is allowed and could be of use.
func unzstd(dst, src []byte, max int) ([]byte, error) {
	size, err := measureZstd(src)
	if err != nil {
		return dst, err
	}
	if size.certain > max {
		return dst, tooLarge(max)
	}
	d, ok := unzstders.Get().(*zstd.Decoder)
	if !ok {
		return dst, errors.New("no decoder")
	}
	defer unzstders.Put(d)
	limit := min(max, size.most)
	for room := min(limit, size.likely()); ; room = min(limit, 4*room) {
		dst = slices.Grow(dst, room)
		out, err := d.DecodeAll(src, dst[:len(dst):len(dst)+room])
		switch {
		case err == nil:
			return out, nil
		case room < limit:
			continue
		case max < size.most:
			return dst, tooLarge(max)
		}
		return dst, err
	}
}

// zstdSize is what can be told of frames from their blocks' headers, bytes.
type zstdSize struct {
	certain    int // that raw and run-length blocks will unpack to
	compressed int // in blocks that are compressed
	most       int // that all blocks can unpack to
}

// likely is enough for nearly all batches.
func (z zstdSize) likely() int { return z.certain + 16*z.compressed + 512<<10 }

// measureZstd walks over the frames without unpacking them.
func measureZstd(src []byte) (z zstdSize, err error) {
	const maxBlock = 128 << 10
	for len(src) > 0 {
		var h zstd.Header
		if err := h.Decode(src); err != nil {
			return z, noEOF(err)
		}
		if h.Skippable {
			if int64(h.SkippableSize) > int64(len(src)-h.HeaderSize) {
				return z, io.ErrUnexpectedEOF
			}
			src = src[h.HeaderSize+int(h.SkippableSize):]
			continue
		}
		src = src[h.HeaderSize:]
		for last := false; !last; {
			if len(src) < 3 {
				return z, io.ErrUnexpectedEOF
			}
			b := int(src[0]) | int(src[1])<<8 | int(src[2])<<16
			last = b&1 != 0
			size, kind := b>>3, b>>1&3
			stored := size
			switch kind {
			case 0, 1: // raw, or one byte that repeats
				z.certain += size
				z.most += size
				if kind == 1 {
					stored = 1
				}
			default:
				z.compressed += size
				z.most += maxBlock
			}
			if stored > len(src)-3 {
				return z, io.ErrUnexpectedEOF
			}
			src = src[3+stored:]
		}
		if h.HasCheckSum {
			src = src[min(4, len(src)):]
		}
	}
	return z, nil
}
