package brokertest

import "syscall"

// dieWithParent ends the broker with a test that was itself killed, as by a timeout.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
