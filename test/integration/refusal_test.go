package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"quorumlog/internal/brokertest"
)

// A node that does not belong to the cluster that it is pointed at ends, and says in a sentence why and what to do. The
// cluster goes on.
func TestNodesThatDoNotBelongAreRefusedByName(t *testing.T) {
	c := brokertest.StartCluster(t, 3)
	one, two := c.Node(1).RaftAddr(), c.Node(2).RaftAddr()
	other := brokertest.Start(t, "--node-id", "7")
	other.Stop()
	duplicate := t.TempDir()
	if err := os.CopyFS(duplicate, os.DirFS(c.Node(2).Dir)); err != nil {
		t.Fatal(err)
	}
	host := one[:strings.LastIndex(one, ":")]
	for name, tc := range map[string]struct {
		dir, id string
		args    []string
		words   []string
	}{
		"an id that is taken": {t.TempDir(), "2", []string{"--join", one}, []string{"node 2", two, "another --node-id"}},
		"an id that is taken, among voters": {t.TempDir(), "2", []string{"--raft-listen", host + ":9200", "--voters", fmt.Sprintf("1@%s,2@%s:9200", one, host)},
			[]string{"node 2", two, "another --node-id"}},
		"a copy of a data directory": {duplicate, "2", []string{"--raft-listen", host + ":9202", "--voters", c.Voters}, []string{"data directory", "node 2", "two processes", "empty --data-dir"}},
		"a node of another cluster":  {other.Dir, "7", []string{"--join", one}, []string{"node 7", "belongs to the cluster", "--join"}},
		"voters that are others":     {t.TempDir(), "4", []string{"--raft-listen", host + ":9201", "--voters", fmt.Sprintf("4@%s:9201,5@%s", host, one)}, []string{one + " is node 1, not node 5", "correct --voters"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"--node-id", tc.id, "--data-dir", tc.dir, "--listen", "127.0.0.1:0", "--admin-listen", ""}, tc.args...)
			if !strings.Contains(strings.Join(args, " "), "--raft-listen") {
				args = append(args, "--raft-listen", "127.0.0.1:0")
			}
			status, stderr := brokertest.Run(t, args...)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			last := lines[len(lines)-1]
			if status != 1 {
				t.Errorf("exit status %d: %s", status, stderr)
			}
			for _, w := range tc.words {
				if !strings.Contains(last, w) {
					t.Errorf("%q is not in: %s", w, last)
				}
			}
			if strings.Contains(stderr, "goroutine") || strings.Contains(stderr, "panic") {
				t.Errorf("a stack: %s", stderr)
			}
		})
	}
	t.Cleanup(func() {
		for _, b := range c.Nodes {
			if !b.Running() {
				t.Error("a node of the cluster has ended")
			}
		}
	})
}
