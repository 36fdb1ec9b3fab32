package log

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"quorumlog/record"
)

// damagedIndexes checks a directory's indexes of aborted transactions.
func damagedIndexes(t *testing.T, dir string) []*DamagedAborted {
	t.Helper()
	x, err := CheckAborted(dir)
	if err != nil {
		t.Fatal(err)
	}
	batches, ended := Inspect(dir)
	for s := range batches {
		x.See(s)
	}
	if err := ended(); err != nil {
		t.Fatal(err)
	}
	damaged, err := x.Damaged()
	if err != nil {
		t.Fatal(err)
	}
	return damaged
}

func inspectedAborted(t *testing.T, dir string) (found []AbortedTransaction) {
	t.Helper()
	records, ended := InspectAborted(dir)
	for a := range records {
		found = append(found, a.AbortedTransaction)
	}
	if err := ended(); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestEveryDamageOfAnAbortedIndexIsFoundAndRepaired(t *testing.T) {
	dir, stored := abortedLog(t)
	if d := damagedIndexes(t, dir); len(d) > 0 {
		t.Fatal(d[0].Error())
	}
	if got := inspectedAborted(t, dir); !slices.Equal(got, stored) {
		t.Fatalf("got  %+v\nwant %+v", got, stored)
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"+abortedSuffix))
	if err != nil || len(paths) < 2 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		repairs := func(what string, damage func() error) {
			t.Helper()
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			d := damagedIndexes(t, dir)
			if len(d) != 1 || d[0].Path != path {
				t.Fatalf("%s: %v", what, d)
			}
			if err := d[0].Rebuild(); err != nil {
				t.Fatal(err)
			}
			if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again, whole) {
				t.Fatalf("%s: made anew:\n%x, %v\nwas\n%x", what, again, err, whole)
			}
		}
		put := func(b []byte) func() error { return func() error { return os.WriteFile(path, b, 0o644) } }
		repairs("deleted", func() error { return os.Remove(path) })
		for n := range whole {
			repairs("cut", put(whole[:n]))
			flipped := bytes.Clone(whole)
			flipped[n] ^= 4
			repairs("flipped", put(flipped))
		}
		first, err := decodeAborted(whole[abortedHeaderSize:])
		if err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(a *AbortedTransaction){
			"another producer":           func(a *AbortedTransaction) { a.ProducerID++ },
			"another beginning":          func(a *AbortedTransaction) { a.First++ },
			"an earlier beginning":       func(a *AbortedTransaction) { a.First-- },
			"another marker":             func(a *AbortedTransaction) { a.Last++ },
			"another last stable offset": func(a *AbortedTransaction) { a.Stable-- },
		} {
			a := first
			if change(&a); a.First < 0 || a.Stable < 0 {
				continue
			}
			repairs(what, put(append(a.append(bytes.Clone(whole[:abortedHeaderSize])), whole[abortedHeaderSize+abortedSize:]...)))
		}
		repairs("a record twice", put(append(append(bytes.Clone(whole[:abortedHeaderSize+abortedSize]), whole[abortedHeaderSize:abortedHeaderSize+abortedSize]...), whole[abortedHeaderSize+abortedSize:]...)))
	}
}

// What an append left that no checkpoint speaks of counts for nothing.
func TestTheRestOfAnAppendIsNoDamageOfAnAbortedIndex(t *testing.T) {
	dir, _ := abortedLog(t)
	l := mustOpen(t, dir, testOptions())
	begin, end := l.NextOffset(), l.NextOffset()+1
	for i, b := range []record.Batch{transactional(9, 1), abortion(9)} {
		if err := l.Append([]Entry{{Index: l.LastIndex() + 1, Term: 1, Kind: KindData, Data: b}}); err != nil {
			t.Fatal(i, err)
		}
	}
	path := l.active().path(abortedSuffix)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	more := AbortedTransaction{9, begin, end, end + 1}.append(nil)
	for n := range more {
		if err := os.WriteFile(path, append(bytes.Clone(b), more[:n+1]...), 0o644); err != nil {
			t.Fatal(err)
		}
		if d := damagedIndexes(t, dir); len(d) > 0 {
			t.Fatalf("with %d bytes more: %s", n+1, d[0].Error())
		}
	}
}
