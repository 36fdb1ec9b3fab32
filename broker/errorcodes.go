package broker

import (
	"reflect"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

var requestErrors = metricDoc{
	"quorumlog_request_errors_total",
	"Error codes in answers, by API and by Kafka's name of the error; one answer may hold several.",
	[]string{"api", "error"},
}

func newErrorCodes() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: requestErrors.name, Help: requestErrors.help}, requestErrors.labels)
}

// countErrors counts the error codes of an answer, wherever in it they stand.
func (b *Broker) countErrors(r *protocol.Request, resp kmsg.Response) {
	visitErrorCodes(resp, func(code int16) {
		if code != 0 {
			b.errorCodes.WithLabelValues(r.Name(), errorName(code)).Inc()
		}
	})
}

func visitErrorCodes(resp kmsg.Response, f func(code int16)) {
	v := reflect.ValueOf(resp).Elem()
	placesOf(v.Type()).visit(v, f)
}

func errorName(code int16) string {
	if e := kerr.TypedErrorForCode(code); e != nil {
		return e.Message
	}
	return strconv.Itoa(int(code))
}

// places is where a type of kmsg's has error codes.
type places struct {
	codes  []int // fields that are one
	nested []nestedPlaces
}

type nestedPlaces struct {
	field int // a struct, or a slice of structs
	of    *places
}

var knownPlaces sync.Map // reflect.Type → *places

// placesOf finds the error codes of a struct type; nil where it has none.
func placesOf(t reflect.Type) *places {
	if p, ok := knownPlaces.Load(t); ok {
		return p.(*places)
	}
	var p places
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case !f.IsExported():
		case f.Name == "ErrorCode" && f.Type.Kind() == reflect.Int16:
			p.codes = append(p.codes, i)
		case f.Type.Kind() == reflect.Struct:
			p.nest(i, placesOf(f.Type))
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			p.nest(i, placesOf(f.Type.Elem()))
		}
	}
	found := &p
	if len(p.codes)+len(p.nested) == 0 {
		found = nil
	}
	knownPlaces.Store(t, found)
	return found
}

func (p *places) nest(field int, of *places) {
	if of != nil {
		p.nested = append(p.nested, nestedPlaces{field, of})
	}
}

// visit calls f for every error code in a struct.
func (p *places) visit(v reflect.Value, f func(code int16)) {
	if p == nil {
		return
	}
	for _, i := range p.codes {
		f(int16(v.Field(i).Int()))
	}
	for _, n := range p.nested {
		x := v.Field(n.field)
		if x.Kind() == reflect.Struct {
			n.of.visit(x, f)
			continue
		}
		for i := range x.Len() {
			n.of.visit(x.Index(i), f)
		}
	}
}
