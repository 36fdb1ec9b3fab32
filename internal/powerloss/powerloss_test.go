//go:build linux

package powerloss

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"quorumlog/internal/durable"
)

func write(t *testing.T, path, text string, sync bool) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := durable.File(f); err != nil {
			t.Fatal(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// after is the content of a file after the power failed, "-" for one that is not there.
func after(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return "-"
	}
	must(t, err)
	return string(b)
}

func TestOnlyWhatWasSyncedOutlivesThePower(t *testing.T) {
	root := t.TempDir()
	d := New(root)
	defer d.Close()
	at := func(name string) string { return filepath.Join(root, name) }

	write(t, at("both"), "both", true)
	write(t, at("named"), "never synced", false)
	write(t, at("replaced"), "old", true)
	must(t, durable.Dir(root))
	write(t, at("nameless"), "its directory was not synced", true)
	write(t, at("replaced.new"), "new", true)
	must(t, os.Rename(at("replaced.new"), at("replaced")))
	must(t, os.Remove(at("both")))
	must(t, os.Mkdir(at("dir"), 0o755))

	must(t, d.Cut(None, rand.New(rand.NewPCG(1, 1))))
	if f, err := os.Open(root); err != nil || durable.File(f) == nil {
		t.Error("a sync without power", err)
	} else {
		f.Close()
	}
	must(t, d.Restore())
	for name, want := range map[string]string{"both": "both", "named": "", "replaced": "old", "nameless": "-", "replaced.new": "-", "dir": "-"} {
		if got := after(t, at(name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	must(t, durable.Dir(root))
}

func TestADirectoryMayBeRenamedAfterItWasSynced(t *testing.T) {
	root := t.TempDir()
	d := New(root)
	defer d.Close()
	must(t, os.Mkdir(filepath.Join(root, "a"), 0o755))
	write(t, filepath.Join(root, "a", "f"), "text", true)
	must(t, durable.Dir(filepath.Join(root, "a")))
	must(t, os.Rename(filepath.Join(root, "a"), filepath.Join(root, "b")))
	must(t, durable.Dir(root))
	must(t, d.Cut(None, nil))
	must(t, d.Restore())
	if got := after(t, filepath.Join(root, "b", "f")); got != "text" {
		t.Error(got)
	}
}

func TestPagesThatWereNotSyncedSurviveByChance(t *testing.T) {
	seen := map[byte]bool{}
	for seed := range uint64(50) {
		root := t.TempDir()
		d := New(root)
		path := filepath.Join(root, "f")
		write(t, path, string(make([]byte, 3*page)), true)
		must(t, durable.Dir(root))
		write(t, path, string(make([]byte, page))+"x", false)
		must(t, d.Cut(Some, rand.New(rand.NewPCG(seed, 1))))
		must(t, d.Restore())
		b := after(t, path)
		if len(b) != 3*page {
			t.Fatalf("%d bytes", len(b))
		}
		seen[b[page]] = true
		d.Close()
	}
	if len(seen) != 2 {
		t.Errorf("%v", seen)
	}
}
