//go:build !unix || solaris || aix

package main

import "context"

// checkMachine knows nothing of this operating system.
func (d *doctor) checkMachine(context.Context) error {
	d.say("disk", d.dataDir, skipped, "this operating system is not known here", "")
	return nil
}
