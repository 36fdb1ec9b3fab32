package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheUnitIsOneAndItsConfigurationIsUnderstood(t *testing.T) {
	unit := string(read(t, "systemd/brokerd.service"))
	start := ""
	for line := range strings.Lines(unit) {
		if rest, ok := strings.CutPrefix(line, "ExecStart="); ok {
			start = strings.TrimSpace(rest)
		}
	}
	args := strings.Fields(start)
	for i, a := range args {
		if a == "/etc/quorumlog/brokerd.yaml" {
			args[i] = filepath.Join(deploy, "systemd/brokerd.yaml")
		}
	}
	wouldStart(t, nil, args[1:]...)
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not installed")
	}
	// It looks for the program.
	file := filepath.Join(t.TempDir(), "brokerd.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(unit, args[0], filepath.Join(binaries, "brokerd"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
