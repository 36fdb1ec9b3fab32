package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

const (
	startLimit = 10 * time.Second
	stopLimit  = 15 * time.Second
)

// broker is a brokerd process over a directory of its own.
type broker struct {
	address string // HOST:PORT of its Kafka listener
	process *exec.Cmd
	dir     string
}

// startBroker starts the program on free ports and waits until it is ready.
func startBroker(ctx context.Context, program string) (*broker, error) {
	dir, err := os.MkdirTemp("", "revenue-")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program,
		"--data-dir", filepath.Join(dir, "data"),
		"--listen", "127.0.0.1:0", "--raft-listen", "127.0.0.1:0", "--admin-listen", "",
		"--set", "group.initial.rebalance.delay.ms=0")
	logs, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start a broker: %w", err), os.RemoveAll(dir))
	}
	b := &broker{process: cmd, dir: dir}
	ready := make(chan string, 1)
	go watchLog(logs, ready)
	select {
	case b.address = <-ready:
		if b.address != "" {
			return b, nil
		}
		err = errors.New("it ended before it was ready")
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(startLimit):
		err = fmt.Errorf("it was not ready within %v", startLimit)
	}
	b.stop()
	return nil, fmt.Errorf("%s: %w", program, err)
}

var readyLine = regexp.MustCompile(`msg="broker ready".* kafka=(\S+)`)

// watchLog sends the address in the broker's first line that has one, or "" at its end, and reads on
// so that the broker never waits for its log to be taken.
func watchLog(logs io.Reader, ready chan<- string) {
	lines := bufio.NewScanner(logs)
	for lines.Scan() {
		if found := readyLine.FindSubmatch(lines.Bytes()); found != nil {
			ready <- string(found[1])
			break
		}
	}
	_, _ = io.Copy(io.Discard, logs)
	close(ready)
}

// stop ends the broker and removes its data.
func (b *broker) stop() {
	killer := time.AfterFunc(stopLimit, func() { _ = b.process.Process.Kill() })
	defer killer.Stop()
	_ = b.process.Process.Signal(syscall.SIGTERM)
	_ = b.process.Wait()
	_ = os.RemoveAll(b.dir)
}
