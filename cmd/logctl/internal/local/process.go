package local

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Process is a running brokerd, known again by its number and by when it began, as the system
// gives a number to another process once its owner has ended.
type Process struct {
	PID   int    `json:"pid"`
	Began string `json:"began"` // in the system's words; compared, never read
	Since int64  `json:"since"` // ms since 1970
}

// Running reports whether the process has not ended. A nil process has.
func (p *Process) Running() bool {
	if p == nil || p.PID <= 0 {
		return false
	}
	began, err := beganAt(p.PID)
	return err == nil && began == p.Began
}

// Signal sends s to the process, and to no other: where it has ended, it returns ErrGone.
func (p *Process) Signal(s os.Signal) error {
	if !p.Running() {
		return ErrGone
	}
	handle, err := os.FindProcess(p.PID) // holds on to the process where the system can
	if err != nil {
		return err
	}
	defer handle.Release() //nolint:errcheck // nothing is left to do
	if !p.Running() {
		return ErrGone
	}
	return handle.Signal(s)
}

// Start runs brokerd as node n, detached from this terminal and from this process, and saves
// what is needed to find it again. It does not wait until the node answers.
func (c *Cluster) Start(n *Node, now time.Time) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	log, err := openLog(c.LogFile(n))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(c.Brokerd, c.args(n)...)
	cmd.Dir = c.dir
	cmd.Env = withoutSettings(os.Environ())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s does not start: %w", c.Brokerd, err)
	}
	pid := cmd.Process.Pid
	began, err := beganAt(pid) // before it can be waited for, so that the number is still its own
	go cmd.Wait()              //nolint:errcheck // only so that an early end is noticed
	if err != nil {
		began = "" // it has ended already: Running is false
	}
	n.Process = &Process{PID: pid, Began: began, Since: now.UnixMilli()}
	return c.Save()
}

// withoutSettings drops the variables by which brokerd is configured: what was not asked for here
// does not count.
func withoutSettings(env []string) []string {
	var rest []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "BROKERD_") {
			rest = append(rest, kv)
		}
	}
	return rest
}
