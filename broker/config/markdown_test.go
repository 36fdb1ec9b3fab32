package config

import (
	"os"
	"testing"
)

const page = "../../docs/configuration.md"

// With UPDATE_DOCS set, as "make docs" does, the page is written instead of compared.
func TestDocsAreCurrentConfiguration(t *testing.T) {
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(page, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Markdown() {
		t.Errorf("docs/configuration.md does not say what the tables say; run make docs")
	}
}

func TestDefaultsAreSpelledOutInUnits(t *testing.T) {
	for name, want := range map[string]string{
		"log.segment.bytes":   "`1073741824` (1 GiB)",
		"log.retention.hours": "`168`",
		"log.retention.ms":    "from `log.retention.minutes`",
		"max.connections":     "no limit",
		"message.max.bytes":   "`1048588`",
		"broker.rack":         "none",
	} {
		s, _ := Broker.Lookup(name)
		if got := s.DefaultText(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
