package protocol

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Why a frame is refused. Each closes its connection.
var (
	errMalformed   = errors.New("malformed request")
	errTooLarge    = errors.New("request too large")
	errTooMany     = errors.New("request with too many elements or tagged fields")
	errUnsupported = errors.New("API or version that is not served")
	errStalled     = errors.New("request stopped arriving")
)

// kmsg makes a slice of n elements where the frame holds the n smallest elements possible, so
// decoding takes a bounded multiple of the frame. What the multiple is, how a request is
// checked against it before, and what is checked after, is told here.

const (
	// tagCost is the memory of the map that a struct with one unknown tagged field holds.
	tagCost = 400
	// minTagged is the fewest bytes of a struct in a frame that can carry an unknown
	// tagged field: a field of one byte, the number of tags, and a tag's key and length.
	minTagged = 4
	// auditBytes is the size from which a frame can hold more tagged fields or elements
	// than are allowed.
	auditBytes = 2 * maxTags
)

// growth returns how many bytes decoding may take for each byte of the frame, at the worst.
func growth(body kmsg.Request) int {
	if body.Key() == int16(kmsg.Produce) {
		return 0 // walked instead
	}
	worst := (int(sizeOfLargest(reflect.TypeOf(body).Elem())) + tagCost) / minTagged
	return max(worst, 1)
}

// sizeOfLargest returns the size of the largest slice element anywhere in t.
func sizeOfLargest(t reflect.Type) uintptr {
	var size uintptr
	switch t.Kind() {
	case reflect.Slice:
		size = max(t.Elem().Size(), sizeOfLargest(t.Elem()))
	case reflect.Pointer, reflect.Array:
		size = sizeOfLargest(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			size = max(size, sizeOfLargest(t.Field(i).Type))
		}
	}
	return size
}

// worstCase returns the most memory that decoding a request's body may take, in bytes.
// Produce, whose frames may be large, is walked: only its topics and partitions cost memory.
func (e *entry) worstCase(version int16, flexible bool, body []byte) (int64, error) {
	if e.Key == int16(kmsg.Produce) {
		return walkProduce(version, flexible, body)
	}
	return int64(e.growth) * int64(len(body)), nil
}

// walkProduce steps through a Produce request of version 3 or later.
func walkProduce(version int16, flexible bool, body []byte) (int64, error) {
	w := walker{b: body}
	w.span(w.stringLen(flexible)) // transactional id
	w.span(2 + 4)                 // acks, timeout
	topics := w.arrayLen(flexible, 2)
	cost := int64(topics) * int64(unsafe.Sizeof(kmsg.ProduceRequestTopic{}))
	for ; topics > 0 && !w.failed(); topics-- {
		if version >= 13 {
			w.span(16)
		} else {
			w.span(w.stringLen(flexible))
		}
		n := w.arrayLen(flexible, 6)
		cost += int64(n) * int64(unsafe.Sizeof(kmsg.ProduceRequestTopicPartition{}))
		for ; n > 0 && !w.failed(); n-- {
			w.span(4)
			w.span(w.bytesLen(flexible))
			if flexible {
				w.tags()
			}
		}
		if flexible {
			w.tags()
		}
	}
	if flexible {
		w.tags()
	}
	if w.failed() {
		return 0, fmt.Errorf("%w: Produce", errMalformed)
	}
	return cost + cost/8 + int64(w.tagN)*tagCost, nil // allocations are rounded up
}

// auditor adds up what a decoded request holds.
type auditor struct {
	memory int64
	tags   int
	widest int // elements of the longest array
}

var tagsType = reflect.TypeFor[kmsg.Tags]()

// audit checks a decoded request against the bounds, and returns the memory it holds.
func audit(body kmsg.Request) (int64, error) {
	var a auditor
	a.add(reflect.ValueOf(body).Elem())
	if a.widest > maxElements || a.tags > maxTags {
		return 0, errTooMany
	}
	return a.memory, nil
}

func (a *auditor) add(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		a.memory += int64(v.Len())
	case reflect.Pointer:
		if !v.IsNil() {
			a.memory += int64(v.Type().Elem().Size())
			a.add(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return // a part of the frame
		}
		a.memory += int64(v.Len()) * int64(v.Type().Elem().Size())
		a.widest = max(a.widest, v.Len())
		if isFlat(v.Type().Elem().Kind()) {
			return
		}
		for i := range v.Len() {
			a.add(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == tagsType {
			n := v.Field(0).Len()
			a.tags += n
			a.memory += int64(n) * tagCost
			return
		}
		for i := range v.NumField() {
			a.add(v.Field(i))
		}
	}
}

// isFlat tells whether values of a kind hold no memory beyond themselves.
func isFlat(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Float64 || k == reflect.Array
}
