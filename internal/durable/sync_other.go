//go:build !linux

package durable

import "os"

// HasTogether says whether Together is more than File for each.
const HasTogether = false

// Mappings says whether File includes what was written through a shared mapping of the file.
const Mappings = false

func datasync(f *os.File) error { return f.Sync() }
func syncfs(f *os.File) error   { return f.Sync() }
