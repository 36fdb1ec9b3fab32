package broker

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// backgroundNice is how far a background thread stands back where processors are short.
const backgroundNice = 10

// inBackground gives the calling goroutine a thread of its own, which the kernel runs after others. The
// thread ends with the goroutine.
func inBackground() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), backgroundNice) // better with than without
}
