package log

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"quorumlog/internal/durable"
)

// makeDirs creates the directory and its missing parents, and returns those whose entries have to
// be durable for it to be found again: each one's in which something was made, and those of the
// two above in any case, as another log may just have made them.
func makeDirs(dir string) (way []string, err error) {
	parent := filepath.Dir(dir)
	way = []string{dir, parent, filepath.Dir(parent)}
	for d := way[2]; !exists(d); {
		d = filepath.Dir(d)
		way = append(way, d)
	}
	return way, os.MkdirAll(dir, 0o755)
}

// makeDir creates the directory and its missing parents, each durable in its own parent.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.Dir(parent)
}
