//go:build !linux

package broker

// inBackground does nothing here: a thread cannot be put behind others.
func inBackground() {}
