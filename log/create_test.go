package log

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// watchSyncs returns options with a syncer that keeps account of what was made durable: take
// returns it, and forgets it.
func watchSyncs() (o Options, take func() []string) {
	o = testOptions()
	o.Syncer = NewSyncer()
	var synced []string
	o.Syncer.observe = func(files []*os.File, dirs []string) {
		for _, f := range files {
			synced = append(synced, f.Name())
		}
		synced = append(synced, dirs...)
	}
	return o, func() []string {
		out := synced
		synced = nil
		return out
	}
}

func mustAppend(t *testing.T, l *Log, m *model, term uint64) {
	t.Helper()
	if err := l.Append([]Entry{m.add(term, KindData, batchOf(1, 20, 1000))}); err != nil {
		t.Fatal(err)
	}
}

func mustSync(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
}

func TestANewLogCanBeFoundWhenItsFirstEntryIsDurable(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"0", "1"} { // the other log may have made the directory above, and not yet synced it
		topic := filepath.Join(root, "topic")
		dir := filepath.Join(topic, name)
		o, take := watchSyncs()
		l := mustOpen(t, dir, o)
		if got := take(); len(got) > 0 {
			t.Errorf("%v was synced for a log without entries", got)
		}
		mustAppend(t, l, &model{first: 1}, 1)
		mustSync(t, l)
		got := take()
		for _, want := range []string{l.active().path(dataSuffix), dir, topic, root} {
			if !slices.Contains(got, want) {
				t.Errorf("%s was not synced, only %v", want, got)
			}
		}
		mustAppend(t, l, &model{first: 2, next: 1}, 1)
		mustSync(t, l)
		if got := take(); len(got) != 1 {
			t.Errorf("%v was synced for the second entry", got)
		}
		l.Close()
	}
}

func TestWhatAKilledWriterLeftIsMadeDurableByTheNextSync(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "0")
	m := &model{first: 1}
	l := mustOpen(t, dir, testOptions())
	mustAppend(t, l, m, 1)
	l.Close()

	o, take := watchSyncs()
	l = mustOpen(t, dir, o)
	mustSync(t, l)
	if got := take(); !slices.Contains(got, l.active().path(dataSuffix)) || !slices.Contains(got, dir) || !slices.Contains(got, filepath.Dir(dir)) {
		t.Errorf("only %v was synced", got)
	}
	if err := l.WriteCheckpoint(Checkpoint{Index: 1}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = mustOpen(t, dir, o)
	defer l.Close()
	take()
	mustSync(t, l)
	if got := take(); len(got) > 0 {
		t.Errorf("%v was synced for a log that a checkpoint knows", got)
	}
}

// Nothing of a new log is durable before its first Sync: it may be lost in any part.
func TestPowerIsLostRightAfterCreation(t *testing.T) {
	made := memoryDir(t)
	l := mustOpen(t, made, testOptions())
	m := &model{first: 1}
	mustAppend(t, l, m, 1)
	file := filepath.Base(l.active().path(dataSuffix))
	end := l.active().size.Load()
	l.Close()
	whole, err := os.ReadFile(filepath.Join(made, file))
	if err != nil {
		t.Fatal(err)
	}
	try := func(what string, entries int, left map[string][]byte) {
		t.Helper()
		dir := filepath.Join(memoryDir(t), "0")
		if left != nil {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name, b := range left {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want := &model{first: 1}
		if entries > 0 {
			want = &model{first: 1, entries: bytesClone(m.entries), next: m.next}
		}
		if !recovers(t, dir, want) {
			t.Fatal(what)
		}
	}
	try("the directory is lost", 0, nil)
	try("the file is lost", 0, map[string][]byte{})
	try("only an index is left", 0, map[string][]byte{segmentStem(0) + indexSuffix: make([]byte, 4096)})
	for at := range end {
		cut := append(slices.Clone(whole[:at]), make([]byte, len(whole)-int(at))...)
		if !bytes.Equal(cut, whole) { // what was lost may have been zeros
			try("zeros", 0, map[string][]byte{file: cut})
		}
		try("cut off", 0, map[string][]byte{file: cut[:at]})
	}
	try("nothing is lost", 1, map[string][]byte{file: whole})
}
