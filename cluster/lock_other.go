//go:build !unix || solaris || aix

package cluster

import (
	"os"
	"path/filepath"
)

// lockDir opens the lock file; here nothing keeps a second process out but the locks of the
// databases inside.
func lockDir(path string) (*os.File, error) {
	return os.OpenFile(filepath.Join(path, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
}
