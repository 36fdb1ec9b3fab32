//go:build !linux

package brokertest

import "syscall"

// dieWithParent does nothing where the operating system has no such thing.
func dieWithParent() *syscall.SysProcAttr { return nil }
