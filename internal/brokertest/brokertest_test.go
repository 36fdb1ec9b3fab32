package brokertest

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func connects(t *testing.T, addr string) bool {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func TestABrokerComesBackOnItsPortAfterStopAndKill(t *testing.T) {
	b := Start(t)
	first := b.Addr
	for _, end := range []func(){b.Stop, b.Kill} {
		if !connects(t, b.Addr) {
			t.Errorf("nobody listens on %s", b.Addr)
		}
		end()
		if connects(t, b.Addr) {
			t.Errorf("somebody still listens on %s", b.Addr)
		}
		b.Restart()
	}
	if b.Addr != first {
		t.Errorf("it moved from %s to %s", first, b.Addr)
	}
	if !strings.Contains(b.Log(), "broker ready") {
		t.Errorf("log: %s", b.Log())
	}
}

func TestTheDataDirectoryOfARunningBrokerIsRefused(t *testing.T) {
	b := Start(t)
	status, stderr := Run(t, "--data-dir", b.Dir, "--listen", "127.0.0.1:0")
	if status != 1 || !strings.Contains(stderr, b.Dir) {
		t.Errorf("status %d: %s", status, stderr)
	}
}

func TestAPortThatIsTakenIsRefusedAndNothingIsWritten(t *testing.T) {
	b := Start(t)
	dir := t.TempDir() + "/data"
	status, stderr := Run(t, "--data-dir", dir, "--listen", b.Addr)
	if status != 1 || !strings.Contains(stderr, b.Addr) || !strings.Contains(stderr, "--listen") {
		t.Errorf("status %d: %s", status, stderr)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the data directory: %v", err)
	}
}

func TestAnInterruptStopsLikeATermination(t *testing.T) {
	b := Start(t)
	b.signal(syscall.SIGINT)
	if state := b.wait(); state.ExitCode() != 0 {
		t.Errorf("%s", state)
	}
}

func TestMisuseExitsWithTwo(t *testing.T) {
	if status, stderr := Run(t, "--lissten", "x"); status != 2 || stderr != "brokerd: unknown flag --lissten (did you mean --listen?)\n" {
		t.Errorf("status %d: %s", status, stderr)
	}
}

func TestOnlyTheLastPartOfALongLogIsKept(t *testing.T) {
	var l tail
	for range 3000 {
		l.add(strings.Repeat("x", 1023) + "\n")
	}
	l.add("end")
	if s := l.String(); len(s) > 3*tailBytes || !strings.HasSuffix(s, "end") {
		t.Errorf("%d bytes", len(s))
	}
}
