package broker

import (
	"os"
	"testing"
)

const apisHeader = `# APIs

Generated from the broker's dispatch table; do not edit. What an API does, with its KIPs and gaps, is said at the top of
` + "`broker/api_<name>.go`" + `. Everything that ApiVersions advertises is served, with one exception that Kafka makes too: Produce is
advertised from version 0, because librdkafka stops compressing where that is missing, and served from 3.

`

func TestDocsAreCurrentAPIs(t *testing.T) {
	const path = "../docs/apis.md"
	want := apisHeader + APIs().Markdown()
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the table says (%v); run make docs", path, err)
	}
}
