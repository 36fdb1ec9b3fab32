package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"quorumlog/cmd/logctl/internal/local"

	"github.com/spf13/cobra"
)

// localCommand is what the verbs of "local" share.
type localCommand struct {
	*app
	dir string
}

func newLocal(a *app) *cobra.Command {
	l := &localCommand{app: a}
	c := &cobra.Command{
		Use:   "local",
		Short: "Run a cluster of brokerd processes on this machine",
		Long: "Run a cluster of brokerd processes on this machine, to develop against, and to see what\n" +
			"happens when nodes die. The processes go on when logctl ends. Ports and process ids are\n" +
			"kept in local.json in the cluster's directory.",
		Example: "  logctl local up\n  logctl local kill 2\n  logctl local status\n  logctl local start 2\n  logctl local down",
	}
	c.PersistentFlags().StringVar(&l.dir, "dir", "", "the cluster's `DIRECTORY` (default $XDG_STATE_HOME/quorumlog/local, else ~/.local/state/quorumlog/local)")
	return group(c, newLocalUp(l), newLocalDown(l), newLocalStatus(l), newLocalStart(l), newLocalStop(l), newLocalKill(l), newLocalLogs(l))
}

// directory is --dir, or one place for each user.
func (l *localCommand) directory() (string, error) {
	if l.dir != "" {
		return filepath.Abs(l.dir)
	}
	if dir := l.env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "quorumlog", "local"), nil
	}
	if home := l.env("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "quorumlog", "local"), nil
	}
	return "", usage("there is no home directory to keep a cluster in; name one with --dir")
}

// load returns the cluster in --dir.
func (l *localCommand) load() (*local.Cluster, error) {
	dir, err := l.directory()
	if err != nil {
		return nil, err
	}
	cl, err := local.Load(dir)
	if errors.Is(err, local.ErrNone) {
		return nil, refused("there is no cluster in %s; start one with logctl local up%s", dir, l.dirFlag())
	}
	return cl, l.failed(err)
}

// change runs do with the cluster in --dir while no other logctl changes it.
func (l *localCommand) change(do func(*local.Cluster) error) error {
	if _, err := l.load(); err != nil { // before a lock file is made where nothing is
		return err
	}
	return l.locked(func() error {
		cl, err := l.load()
		if err != nil {
			return err
		}
		return do(cl)
	})
}

func (l *localCommand) locked(do func() error) error {
	dir, err := l.directory()
	if err != nil {
		return err
	}
	lock, err := local.Lock(dir)
	if err != nil {
		return l.failed(err)
	}
	defer lock.Close()
	return do()
}

// failed puts an error of this machine into a sentence.
func (l *localCommand) failed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, local.ErrBusy):
		return refused("another logctl is starting or stopping this cluster; repeat when it has ended")
	case errors.Is(err, local.ErrPortInUse):
		return usage("%v; stop that one, or choose other ports with --port (0 takes free ones)", err)
	case errors.Is(err, local.ErrForeign):
		return usage("%v; choose another directory with --dir", err)
	}
	return usage("%v", err)
}

// dirFlag repeats --dir in advice, where it was given.
func (l *localCommand) dirFlag() string {
	if l.dir == "" {
		return ""
	}
	return " --dir " + l.dir
}

// nodes finds the nodes that arguments name, in that order and each once.
func (l *localCommand) nodes(cl *local.Cluster, args []string) ([]*local.Node, error) {
	var nodes []*local.Node
	seen := map[int32]bool{}
	for _, arg := range args {
		id, err := strconv.ParseInt(arg, 10, 32)
		n := cl.Node(int32(id))
		if err != nil || n == nil {
			return nil, usage("there is no node %q in %s; see logctl local status%s", arg, cl.Dir(), l.dirFlag())
		}
		if !seen[n.ID] {
			seen[n.ID] = true
			nodes = append(nodes, n)
		}
	}
	return nodes, nil
}

// findBrokerd returns the program to run: the one that was asked for, the one that ran last, the
// one beside logctl, or the one in PATH.
func findBrokerd(asked, last string) (string, error) {
	if asked != "" {
		path, err := exec.LookPath(asked)
		if err != nil {
			return "", usage("--brokerd %s cannot be run (%v)", asked, err)
		}
		return filepath.Abs(path)
	}
	candidates := []string{last}
	if self, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		candidates = append(candidates, filepath.Join(filepath.Dir(self), "brokerd"))
	}
	for _, c := range append(candidates, "brokerd") {
		if path, err := exec.LookPath(c); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", usage("there is no brokerd beside logctl, nor in PATH; name it with --brokerd PATH")
}

// startNodes starts nodes whose processes do not run.
func (l *localCommand) startNodes(cl *local.Cluster, nodes []*local.Node) error {
	for _, n := range nodes {
		if err := cl.Start(n, l.now()); err != nil {
			return l.failed(fmt.Errorf("node %d: %w", n.ID, err))
		}
	}
	return nil
}

// completeNodes offers node ids to the shell.
func (l *localCommand) completeNodes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if cl, err := l.load(); err == nil {
		for _, n := range cl.Nodes {
			ids = append(ids, strconv.Itoa(int(n.ID)))
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
