package protocol

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fixedHeader is the part of a request header that every version has: API key, version and
// correlation id.
const fixedHeader = 8

// header is the fixed part of a request header.
type header struct {
	key, version  int16
	correlationID int32
}

// parseFixedHeader reads the first fixedHeader bytes of b.
func parseFixedHeader(b []byte) header {
	return header{
		key:           int16(binary.BigEndian.Uint16(b)),
		version:       int16(binary.BigEndian.Uint16(b[2:])),
		correlationID: int32(binary.BigEndian.Uint32(b[4:])),
	}
}

// parseClient reads what follows the fixed part: the client id, an old-style nullable string in
// every version, and in header version 2 (flexible) tagged fields, which are skipped. It
// returns the client id's bytes, nil for null, and the request's body.
func parseClient(b []byte, flexible bool) (clientID, body []byte, err error) {
	w := walker{b: b}
	if n := w.int16(); n >= 0 {
		clientID = w.span(int(n))
	} else if n != -1 {
		w.bad = true
	}
	if flexible {
		w.tags()
	}
	if w.failed() {
		return nil, nil, fmt.Errorf("%w: request header", errMalformed)
	}
	return clientID, w.b, nil
}

// appendHeader appends a response header: version 1, with empty tagged fields, where the
// response is flexible. ApiVersions always has version 0, since a client that asks for it does
// not know yet what the broker speaks (KIP-511).
func appendHeader(dst []byte, correlationID int32, resp kmsg.Response) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		dst = append(dst, 0)
	}
	return dst
}
