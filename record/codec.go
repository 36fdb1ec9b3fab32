package record

import "fmt"

// Codec is a compression type, numbered as in a batch's attributes.
type Codec int8

// The codecs of Kafka.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4 // KIP-110
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// String is Kafka's name of the codec, as in compression.type.
func (c Codec) String() string {
	if !c.Valid() {
		return fmt.Sprintf("codec %d", int8(c))
	}
	return codecNames[c]
}

// Valid reports whether Kafka defines the codec.
func (c Codec) Valid() bool { return c >= None && c <= Zstd }

// ParseCodec returns the codec that Kafka calls name; "uncompressed" is None.
func ParseCodec(name string) (Codec, error) {
	if name == "uncompressed" {
		return None, nil
	}
	for c, n := range codecNames {
		if n == name {
			return Codec(c), nil
		}
	}
	return None, fmt.Errorf("%q: %w", name, ErrUnsupportedCodec)
}

func unsupported(c Codec) error { return fmt.Errorf("%v: %w", c, ErrUnsupportedCodec) }
