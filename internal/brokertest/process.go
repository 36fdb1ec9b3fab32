package brokertest

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// process is one run of brokerd.
type process struct {
	cmd   *exec.Cmd
	ready chan string   // receives the Kafka address once
	done  chan struct{} // closed when the process has ended and its log is whole
	log   tail
}

func spawn(args []string) (*process, error) {
	if binary == "" {
		return nil, errors.New("TestMain must call brokertest.Main")
	}
	p := &process{cmd: exec.Command(binary, args...), ready: make(chan string, 1), done: make(chan struct{})}
	p.cmd.Env = withoutSettings(os.Environ())
	p.cmd.SysProcAttr = dieWithParent()
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.read(stderr)
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// withoutSettings drops the variables by which brokerd is configured.
func withoutSettings(env []string) []string {
	var rest []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "BROKERD_") {
			rest = append(rest, kv)
		}
	}
	return rest
}

// read keeps the log and looks for the line that tells where the broker listens.
func (p *process) read(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		p.log.add(line)
		var l struct{ Msg, Kafka string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "broker ready" {
			select {
			case p.ready <- l.Kafka:
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

// tail keeps the last part of a text.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// tailBytes is how much is kept at least, of a text that is longer.
const tailBytes = 256 << 10

func (t *tail) add(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, s...)
	if len(t.text) > 2*tailBytes {
		t.text = append([]byte("…"), t.text[len(t.text)-tailBytes:]...)
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
