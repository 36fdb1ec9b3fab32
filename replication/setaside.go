package replication

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"quorumlog/internal/durable"
	"quorumlog/log"
)

// CorruptSuffix and a time in Unix milliseconds mark a directory that was set aside.
// The newest of a partition is kept until an operator deletes it, or another one comes, or the
// partition is removed.
const CorruptSuffix = ".corrupt-"

// ErrLastCopy is returned for a damaged replica that is the only one: there is nothing to rebuild
// it from, so it is left as it is.
var ErrLastCopy = errors.New("the only replica is damaged; its files are left as they are")

// SetAside moves the files of a replica that was refused (log.ErrCorrupt) or has failed
// (PartitionConfig.OnFailed) out of the way, and returns where they are. Close it first. From then
// on it is a replica that lost its log: opening it gives ErrEmptied until the leader has evicted
// it. ErrLastCopy is returned where replicas, the nodes that have one, names no other node.
func (n *Node) SetAside(group, dir string, replicas []int32) (to string, err error) {
	if err := n.init(); err != nil {
		return "", err
	}
	if !slices.ContainsFunc(replicas, func(r int32) bool { return r != n.ID }) {
		return "", fmt.Errorf("partition %s: %w", group, ErrLastCopy)
	}
	// The memory that there were entries comes first: without it an empty directory looks new.
	if err := n.Stable.Group(group).Set([]byte(keyPast), []byte{byte(pastHolding)}); err != nil {
		return "", fmt.Errorf("partition %s: %w", group, storageError(err))
	}
	older, err := besides(dir)
	if err != nil {
		return "", err
	}
	to = dir + CorruptSuffix + strconv.FormatInt(n.now().UnixMilli(), 10)
	err = os.Rename(dir, to)
	if err == nil {
		err = durable.Dir(filepath.Dir(dir))
	}
	for _, path := range older {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		return "", fmt.Errorf("set partition %s aside: %w", group, err)
	}
	n.Logger.Error("replica set aside; it will be rebuilt from the others", "group", group, "dir", to)
	return to, nil
}

// besides lists what may stand beside a partition's directory and belongs to it.
func besides(dir string) ([]string, error) {
	files, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, f := range files {
		suffix, ours := strings.CutPrefix(f.Name(), filepath.Base(dir))
		if ours && (suffix == log.IncomingSuffix || suffix == log.ReplacedSuffix || isCorruptSuffix(suffix)) {
			paths = append(paths, filepath.Join(filepath.Dir(dir), f.Name()))
		}
	}
	return paths, nil
}

func isCorruptSuffix(s string) bool {
	ms, ok := strings.CutPrefix(s, CorruptSuffix)
	if !ok {
		return false
	}
	_, err := strconv.ParseInt(ms, 10, 64)
	return err == nil
}
