package local

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNodesKeepTheirPlaces(t *testing.T) {
	dir := t.TempDir()
	c, err := New(dir, 3, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Settings = []string{"a=1,2"}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, n := range loaded.Nodes {
		if *n != *c.Nodes[i] {
			t.Errorf("node %d was %+v, is %+v", i, *c.Nodes[i], *n)
		}
		for _, addr := range []string{n.Kafka, n.Raft, n.Admin} {
			if seen[addr] {
				t.Errorf("%s is used twice", addr)
			}
			seen[addr] = true
		}
	}
}

func TestAWholeClusterIsNamedToEachNode(t *testing.T) {
	c := &Cluster{dir: "/d", Settings: []string{"x=1,2", "y=3"}, Nodes: []*Node{
		{ID: 1, Kafka: "h:1", Raft: "h:2", Admin: "h:3"}, {ID: 2, Kafka: "h:4", Raft: "h:5", Admin: "h:6"},
	}}
	want := "--node-id 2 --data-dir /d/2 --listen h:4 --raft-listen h:5 --admin-listen h:6 --voters 1@h:2,2@h:5 --set x=1,2 --set y=3"
	if got := strings.Join(c.args(c.Nodes[1]), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c.Nodes = c.Nodes[:1]
	if slices.Contains(c.args(c.Nodes[0]), "--voters") {
		t.Error("a single node has voters")
	}
}

func TestPortsOfKafkaAreNotReplacedAndOthersAre(t *testing.T) {
	l, err := net.Listen("tcp", Address(0))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if _, err := (portPicker{}).exactly(port, 0); !errors.Is(err, ErrPortInUse) {
		t.Errorf("a port that is in use: %v", err)
	}
	if addr, err := (portPicker{}).preferably(port, 0); err != nil || addr == l.Addr().String() {
		t.Errorf("instead of a port that is in use: %s, %v", addr, err)
	}
	if _, err := (portPicker{}).exactly(maxPort, 1); !errors.Is(err, ErrPortInUse) {
		t.Errorf("port 65536: %v", err)
	}
	if raftBase(0) != 0 || raftBase(maxPort) != 0 || adminBase(9092) != 9644 {
		t.Error("bases")
	}
}

func TestDamagedStateIsRefused(t *testing.T) {
	for _, s := range []string{"", "{", `{"format":2}`, `{"format":1}`, `{"format":1,"nodes":[null]}`, `{"format":1,"nodes":[{"id":2}]}`} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || errors.Is(err, ErrNone) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := Load(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestWhatIsNotOursIsNotTakenNorDeleted(t *testing.T) {
	dir := t.TempDir()
	c, err := New(dir, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1", "2"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Delete(); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 1 || left[0].Name() != "2" {
		t.Errorf("left %v", left)
	}
	if _, err := New(dir, 2, 0); !errors.Is(err, ErrForeign) {
		t.Errorf("over a directory that is there: %v", err)
	}
}

func TestOnlyOneChangesACluster(t *testing.T) {
	dir := t.TempDir()
	first, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrBusy) {
		t.Errorf("a second lock: %v", err)
	}
	first.Close()
	again, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestLastLines(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"a\nb\nc\n", 2, "b\nc\n"}, {"a\nb\nc", 1, "c"}, {"a\n", 5, "a\n"}, {"", 3, ""}, {"a\nb\n", 0, ""}, {"\n\n", 1, "\n"}} {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, end, err := Tail(f, c.n)
		f.Close()
		if err != nil || string(got) != c.want || end != int64(len(c.text)) {
			t.Errorf("last %d of %q: %q, end %d, %v", c.n, c.text, got, end, err)
		}
	}
}

func TestALongLogMakesRoomAtTheNextStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.log")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, logKeep+1); err != nil {
		t.Fatal(err)
	}
	f, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	old, err := os.Stat(path + oldLog)
	if err != nil || info.Size() != 0 || old.Size() != logKeep+1 {
		t.Errorf("new log has %d bytes, old one %v, %v", info.Size(), old, err)
	}
}

var longAgo = time.UnixMilli(1)
