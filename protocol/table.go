package protocol

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxKey is the highest API key a table can hold.
const maxKey = 127

// Table holds the APIs that are served. It is built before the server starts and not changed
// afterwards. ApiVersions, the version check and the documentation derive from it.
type Table struct {
	apis [maxKey + 1]*entry
}

// entry is an API with what is known of its requests.
type entry struct {
	API
	growth int // upper bound of decoded bytes for each byte of a request's frame
}

// NewTable returns a table of apis. See Add.
func NewTable(apis ...API) *Table {
	t := new(Table)
	for _, a := range apis {
		t.Add(a)
	}
	return t
}

// Add adds an API. It panics for a registration that cannot be right: a key that is unknown or
// taken, no handler, or versions that kmsg does not have.
func (t *Table) Add(a API) {
	body := kmsg.RequestForKey(a.Key)
	switch {
	case body == nil || a.Key < 0 || a.Key > maxKey:
		panic(fmt.Sprintf("protocol: there is no API with key %d", a.Key))
	case t.apis[a.Key] != nil:
		panic(fmt.Sprintf("protocol: %s is registered twice", kmsg.NameForKey(a.Key)))
	case a.Handle == nil || a.Min < 0 || a.Min > a.Max || a.Max > body.MaxVersion():
		panic(fmt.Sprintf("protocol: %s cannot be served in versions %d to %d", kmsg.NameForKey(a.Key), a.Min, a.Max))
	}
	t.apis[a.Key] = &entry{API: a, growth: growth(body)}
}

// Lookup returns the API that serves a version of a key; false where none does.
func (t *Table) Lookup(key, version int16) (API, bool) {
	if e := t.lookup(key, version); e != nil {
		return e.API, true
	}
	return API{}, false
}

func (t *Table) lookup(key, version int16) *entry {
	if key < 0 || key > maxKey {
		return nil
	}
	if e := t.apis[key]; e != nil && e.Min <= version && version <= e.Max {
		return e
	}
	return nil
}

// APIs returns the registered APIs in the order of their keys.
func (t *Table) APIs() []API {
	var all []API
	for _, e := range t.apis {
		if e != nil {
			all = append(all, e.API)
		}
	}
	return all
}

// Versions returns the version ranges that ApiVersions advertises, in the order of keys.
func (t *Table) Versions() []kmsg.ApiVersionsResponseApiKey {
	var keys []kmsg.ApiVersionsResponseApiKey
	for _, a := range t.APIs() {
		keys = append(keys, a.advertised())
	}
	return slices.Clip(keys)
}

func (a API) advertised() kmsg.ApiVersionsResponseApiKey {
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = a.Key, a.Min, a.Max
	if a.AdvertiseZero {
		k.MinVersion = 0
	}
	return k
}

// Markdown returns the table as rows of a Markdown table: key, name, versions served,
// versions advertised.
func (t *Table) Markdown() string {
	var b strings.Builder
	b.WriteString("| key | API | served | advertised |\n| --: | --- | --- | --- |\n")
	for _, a := range t.APIs() {
		k := a.advertised()
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", a.Key, kmsg.NameForKey(a.Key), span(a.Min, a.Max), span(k.MinVersion, k.MaxVersion))
	}
	return b.String()
}

func span(min, max int16) string {
	if min == max {
		return fmt.Sprint(min)
	}
	return fmt.Sprintf("%d–%d", min, max)
}
