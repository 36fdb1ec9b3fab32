package segfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"quorumlog/record"
)

func batch(base int64, values ...string) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{})
	for i, v := range values {
		b.Add(record.Record{Offset: int64(i), Timestamp: 1000, Value: []byte(v)})
	}
	out := b.Build()
	out.SetBaseOffset(base)
	return out
}

func write(t *testing.T, content ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "00000000000000000000"+Suffix)
	if err := os.WriteFile(path, slices.Concat(content...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// scan returns the base offsets of a file's batches and the error that ended them.
func scan(t *testing.T, path string) (bases []int64, err error) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for {
		b, _, err := s.Next()
		if err != nil {
			return bases, err
		}
		bases = append(bases, b.BaseOffset())
	}
}

func TestScannerReadsBatchesUpToEmptySpace(t *testing.T) {
	for name, tail := range map[string][]byte{"end of file": nil, "a few zeros": make([]byte, 5), "many zeros": make([]byte, 200_000)} {
		bases, err := scan(t, write(t, batch(0, "a", "b"), batch(2, "c"), tail))
		if !errors.Is(err, io.EOF) || !slices.Equal(bases, []int64{0, 2}) {
			t.Errorf("%s: %v, %v", name, bases, err)
		}
	}
}

func TestScannerSaysWhereDamageBegins(t *testing.T) {
	whole := batch(0, "a", "b")
	huge := slices.Clone(whole)
	copy(huge[8:], []byte{0x7f, 0xff, 0xff, 0xff})
	negative := slices.Clone(whole)
	copy(negative[8:], []byte{0xff, 0xff, 0xff, 0xff})
	oldFormat := slices.Clone(whole)
	oldFormat[16] = 1
	zeros := append(make([]byte, 100_000), 1)
	for name, tail := range map[string][]byte{
		"torn": whole[:len(whole)-1], "torn in the header": batch(2, "c")[:9], "garbage after zeros": zeros,
		"huge": huge, "negative": negative, "old format": oldFormat,
	} {
		bases, err := scan(t, write(t, whole, tail))
		var d *Damage
		if !errors.As(err, &d) || d.Position != int64(len(whole)) || len(bases) != 1 {
			t.Errorf("%s: %v, %v", name, bases, err)
		}
	}
}

func TestFindReturnsSegmentsInOrder(t *testing.T) {
	dir := t.TempDir()
	for _, f := range []string{"b/0/00000000000000000010.log", "b/0/00000000000000000000.log", "a/0/00000000000000000000.log", "a/0/00000000000000000000.index", "server.log"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, f)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Find([]string{dir})
	want := []string{dir + "/a/0/00000000000000000000.log", dir + "/b/0/00000000000000000000.log", dir + "/b/0/00000000000000000010.log"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("found %q, %v", got, err)
	}
	for _, p := range []string{filepath.Join(dir, "none"), t.TempDir()} {
		if got, err := Find([]string{p}); err == nil {
			t.Errorf("found %q in %s", got, p)
		}
	}
}

func FuzzScanner(f *testing.F) {
	f.Add([]byte(batch(0, "a")))
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, content []byte) {
		s, err := Open(write(t, content))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for {
			b, at, err := s.Next()
			if err != nil {
				return
			}
			if s.Position() != at+int64(len(b)) || s.Position() > int64(len(content)) {
				t.Fatalf("batch of %d bytes at %d leads to %d", len(b), at, s.Position())
			}
		}
	})
}
