package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestADataDirectoryKeepsItsIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "data")
	d := must(OpenDataDir(path, 7))(t)
	identity := d.Identity()
	if d.NodeID() != 7 || len(identity) != 22 || d.ClusterID() != "" {
		t.Fatalf("%d %q %q", d.NodeID(), identity, d.ClusterID())
	}
	if err := d.SetClusterID("c1"); err != nil {
		t.Fatal(err)
	}
	d.Close()
	d = must(OpenDataDir(path, -1))(t)
	defer d.Close()
	if d.NodeID() != 7 || d.Identity() != identity || d.ClusterID() != "c1" {
		t.Fatalf("%d %q %q after a restart", d.NodeID(), d.Identity(), d.ClusterID())
	}
	if err := d.SetClusterID("c1"); err != nil {
		t.Fatal(err)
	}
	refused(t, d.SetClusterID("c2"), ErrOtherCluster, path, "c1", "c2")
}

func TestANewDataDirectoryIsNode1WhereNoneIsAskedFor(t *testing.T) {
	d := must(OpenDataDir(t.TempDir(), -1))(t)
	defer d.Close()
	if d.NodeID() != 1 {
		t.Fatal(d.NodeID())
	}
}

func TestNodeFileBytes(t *testing.T) {
	path, id := t.TempDir(), int32(3)
	d := DataDir{path: path}
	n := node{Format: 1, NodeID: &id, Directory: TopicID{0: 1, 15: 2}, Cluster: "AAAAAAAAQACAAAAAAAAAAQ"}
	if err := d.write(n); err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"format\": 1,\n  \"node.id\": 3,\n  \"directory.id\": \"AQAAAAAAAAAAAAAAAAAAAg\",\n  \"cluster.id\": \"AAAAAAAAQACAAAAAAAAAAQ\"\n}\n"
	if got := must(os.ReadFile(filepath.Join(path, "node.json")))(t); string(got) != want {
		t.Fatalf("%s", got)
	}
}

func TestADataDirectoryOfSomebodyElseIsRefused(t *testing.T) {
	good := `{"format":1,"node.id":1,"directory.id":"AQAAAAAAAAAAAAAAAAAAAg"`
	for _, c := range []struct {
		file, content string
		want          error
		words         []string
	}{
		{"node.json", good + "}", ErrOtherNode, []string{"node.json", "node 1", "node 2", "start it as"}},
		{"node.json", `{"format":9,"more":[]}`, ErrNewerVersion, []string{"node.json", "format 9", "up to 1"}},
		{"node.json", good, ErrCorrupt, []string{"node.json", "restore"}},
		{"node.json", good + `,"x":1}`, ErrCorrupt, []string{"node.json"}},
		{"node.json", `{}`, ErrCorrupt, []string{"node.json"}},
		{"node.json", `{"format":1,"directory.id":"AQAAAAAAAAAAAAAAAAAAAg"}`, ErrCorrupt, nil},
		{"node.json", `{"format":1,"node.id":1,"directory.id":"short"}`, ErrCorrupt, nil},
		{"node.json", ``, ErrCorrupt, nil},
		{"raft.db", ``, ErrForeignData, []string{"raft.db", "node.json"}},
		{"meta.properties", ``, ErrForeignData, []string{"Apache Kafka"}},
	} {
		path := t.TempDir()
		if err := os.WriteFile(filepath.Join(path, c.file), []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		d, err := OpenDataDir(path, 2)
		if err == nil {
			d.Close()
		}
		refused(t, err, c.want, append(c.words, path)...)
	}
}

// lockHelper makes the test binary a process that tries to open a data directory.
const lockHelper = "CLUSTER_TEST_OPEN_DATA_DIR"

func TestMain(m *testing.M) {
	if path := os.Getenv(lockHelper); path != "" {
		_, err := OpenDataDir(path, -1)
		fmt.Print(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestASecondProcessIsRefused(t *testing.T) {
	path := t.TempDir()
	second := func() string {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), lockHelper+"="+path)
		return string(must(cmd.CombinedOutput())(t))
	}
	d := must(OpenDataDir(path, 1))(t)
	if got := second(); !strings.Contains(got, path) || !strings.Contains(got, fmt.Sprintf("(pid %d)", os.Getpid())) {
		t.Fatalf("second process: %s", got)
	}
	_, err := OpenDataDir(path, 1)
	refused(t, err, ErrLocked, path)
	d.Close()
	if got := second(); got != "<nil>" {
		t.Fatalf("after Close: %s", got)
	}
}

// refused checks an error and that its sentence names what people need.
func refused(t *testing.T, err, want error, words ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Fatalf("%q does not name %q", err, w)
		}
	}
}
