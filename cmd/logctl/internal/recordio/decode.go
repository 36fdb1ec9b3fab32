package recordio

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Decoder turns the bytes of a key or a value into text; nil stays nil.
type Decoder func([]byte) []byte

var decoders = map[string]Decoder{
	"string": nil,
	"int":    decodeInt,
	"hex":    func(b []byte) []byte { return hex.AppendEncode([]byte{}, b) },
	"base64": func(b []byte) []byte { return base64.StdEncoding.AppendEncode([]byte{}, b) },
}

// ParseDecoder finds a decoder by its name: string (as it is, nil), int (big-endian, of 1, 2, 4 or
// 8 bytes, with a sign; 0x… where it is of another length), hex or base64.
func ParseDecoder(name string) (Decoder, error) {
	d, ok := decoders[name]
	if !ok {
		names := make([]string, 0, len(decoders))
		for n := range decoders {
			names = append(names, n)
		}
		slices.Sort(names)
		return nil, fmt.Errorf("%q is not one of %s", name, strings.Join(names, ", "))
	}
	return d, nil
}

func decodeInt(b []byte) []byte {
	var n int64
	switch len(b) {
	case 1:
		n = int64(int8(b[0]))
	case 2:
		n = int64(int16(binary.BigEndian.Uint16(b)))
	case 4:
		n = int64(int32(binary.BigEndian.Uint32(b)))
	case 8:
		n = int64(binary.BigEndian.Uint64(b))
	default:
		return hex.AppendEncode([]byte("0x"), b)
	}
	return strconv.AppendInt(nil, n, 10)
}

// Decode applies d, which may be nil, to b.
func (d Decoder) Decode(b []byte) []byte {
	if d == nil || b == nil {
		return b
	}
	return d(b)
}
