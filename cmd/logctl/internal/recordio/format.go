// Package recordio turns records into text and text into records, for the commands that produce
// and consume.
package recordio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Format is a compiled printf-like layout of a record, in kcat's language.
type Format struct {
	parts []func(dst []byte, r *kgo.Record) []byte
}

// FormatSyntax explains the language that ParseFormat reads, for help texts.
const FormatSyntax = `  %s value   %S its length (-1: null)   %R its length as 4 big-endian bytes
  %k key     %K its length (-1: null)
  %t topic   %p partition   %o offset   %T timestamp in ms   %h headers as k=v,k=v
  %% a percent sign   \n \r \t \\ \0 \xHH`

var errEndsEarly = errors.New("it ends in the middle of a % or \\ sequence")

// ParseFormat compiles a layout.
func ParseFormat(s string) (*Format, error) {
	f := new(Format)
	var literal []byte
	flush := func() {
		if lit := literal; len(lit) > 0 {
			f.parts = append(f.parts, func(dst []byte, _ *kgo.Record) []byte { return append(dst, lit...) })
			literal = nil
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '%', '\\':
			i++
			if i == len(s) {
				return nil, fmt.Errorf("format %q: %w", s, errEndsEarly)
			}
			if c == '\\' {
				b, n, err := unescape(s[i:])
				if err != nil {
					return nil, fmt.Errorf("format %q: %w", s, err)
				}
				literal = append(literal, b)
				i += n - 1
				continue
			}
			if s[i] == '%' {
				literal = append(literal, '%')
				continue
			}
			verb, ok := verbs[s[i]]
			if !ok {
				return nil, fmt.Errorf("format %q: %%%c is none of %%s %%S %%R %%k %%K %%t %%p %%o %%T %%h", s, s[i])
			}
			flush()
			f.parts = append(f.parts, verb)
		default:
			literal = append(literal, c)
		}
	}
	flush()
	return f, nil
}

// unescape reads what follows a backslash and returns the byte and how much text it took.
func unescape(s string) (b byte, n int, err error) {
	switch s[0] {
	case 'n':
		return '\n', 1, nil
	case 'r':
		return '\r', 1, nil
	case 't':
		return '\t', 1, nil
	case '\\':
		return '\\', 1, nil
	case '0':
		return 0, 1, nil
	case 'x':
		if len(s) < 3 {
			return 0, 0, errEndsEarly
		}
		v, err := strconv.ParseUint(s[1:3], 16, 8)
		if err != nil {
			return 0, 0, fmt.Errorf("\\x%s is not hexadecimal", s[1:3])
		}
		return byte(v), 3, nil
	}
	return 0, 0, fmt.Errorf("\\%c is none of \\n \\r \\t \\\\ \\0 \\xHH", s[0])
}

// Unescape reads a text that may hold the backslash sequences of a Format.
func Unescape(s string) (string, error) {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i+1 == len(s) {
			return "", errEndsEarly
		}
		b, n, err := unescape(s[i+1:])
		if err != nil {
			return "", err
		}
		out = append(out, b)
		i += n
	}
	return string(out), nil
}

var verbs = map[byte]func([]byte, *kgo.Record) []byte{
	's': func(dst []byte, r *kgo.Record) []byte { return append(dst, r.Value...) },
	'k': func(dst []byte, r *kgo.Record) []byte { return append(dst, r.Key...) },
	'S': func(dst []byte, r *kgo.Record) []byte { return strconv.AppendInt(dst, length(r.Value), 10) },
	'K': func(dst []byte, r *kgo.Record) []byte { return strconv.AppendInt(dst, length(r.Key), 10) },
	'R': func(dst []byte, r *kgo.Record) []byte {
		return binary.BigEndian.AppendUint32(dst, uint32(length(r.Value)))
	},
	't': func(dst []byte, r *kgo.Record) []byte { return append(dst, r.Topic...) },
	'p': func(dst []byte, r *kgo.Record) []byte { return strconv.AppendInt(dst, int64(r.Partition), 10) },
	'o': func(dst []byte, r *kgo.Record) []byte { return strconv.AppendInt(dst, r.Offset, 10) },
	'T': func(dst []byte, r *kgo.Record) []byte { return strconv.AppendInt(dst, r.Timestamp.UnixMilli(), 10) },
	'h': appendHeaders,
}

// length is -1 for null, as kcat has it.
func length(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}

func appendHeaders(dst []byte, r *kgo.Record) []byte {
	for i, h := range r.Headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, h.Key...), '='), h.Value...)
	}
	return dst
}

// Append appends r, laid out, to dst.
func (f *Format) Append(dst []byte, r *kgo.Record) []byte {
	for _, p := range f.parts {
		dst = p(dst, r)
	}
	return dst
}
