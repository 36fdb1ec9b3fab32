//go:build unix && !linux && !solaris && !aix

package main

import "golang.org/x/sys/unix"

// checkFilesystem has no list of filesystems to warn of here.
func (d *doctor) checkFilesystem(unix.Statfs_t) {}
