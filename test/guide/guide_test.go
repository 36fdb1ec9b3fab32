// Package guide runs the pages that are meant to be pasted.
package guide

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// Every shell block of the guide, one after the other in one shell, as somebody pastes them; only
// the ports are others, which may be taken here.
func TestTheFirstHourCanBePasted(t *testing.T) {
	page, err := os.ReadFile("../../docs/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	script := "set -euo pipefail\n"
	for _, block := range shellBlock.FindAllStringSubmatch(string(page), -1) {
		script += block[1]
	}
	port := freePorts(t, 3)
	for i := range 3 {
		script = strings.ReplaceAll(script, fmt.Sprintf("127.0.0.1:%d", 9092+i), fmt.Sprintf("127.0.0.1:%d", port+i))
	}
	script = strings.ReplaceAll(script, "logctl local up", fmt.Sprintf("logctl local up --port %d", port))
	bin, home := t.TempDir(), t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin+"/", "quorumlog/cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	env := []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + home}
	t.Cleanup(func() {
		down := exec.Command(filepath.Join(bin, "logctl"), "local", "down", "--delete", "--yes")
		down.Env = env
		_ = down.Run() // where the script did not come to its end
	})
	cmd := exec.Command("bash", "-xc", script)
	cmd.Env, cmd.Dir = env, home
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"apple is 1, at offset 0 of partition", "status 1: something is wrong", "nothing is wrong", "quorumlog_partitions_led"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in what the guide shows:\n%s", want, out)
		}
	}
}

// freePorts returns the first of n ports in a row that nobody has now. They lie below those that the
// system gives to whoever asks for any, so that no other test gets one meanwhile.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		if port := 12000 + rand.IntN(19000); free(port, n) {
			return port
		}
	}
	t.Fatal("no ports in a row are free")
	return 0
}

func free(port, n int) bool {
	for i := range n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// verb is a command in running text: the words before the first argument.
var verb = regexp.MustCompile("`(logctl(?: [a-z]+(?:-[a-z]+)*)+)(?:[ \n]+[^a-z` \n][^`]*)?`")

// Every command that stands for one of Kafka's scripts, or that the runbook names, exists.
func TestTheCommandsInThePagesExist(t *testing.T) {
	var page []byte
	for _, name := range []string{"coming-from-kafka.md", "runbook.md", "deployment.md", "upgrades.md"} {
		b, err := os.ReadFile("../../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		page = append(page, b...)
	}
	logctl := filepath.Join(t.TempDir(), "logctl")
	if out, err := exec.Command("go", "build", "-o", logctl, "quorumlog/cmd/logctl").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := verb.FindAllStringSubmatch(string(page), -1)
	if len(found) < 20 {
		t.Fatalf("%d commands", len(found))
	}
	for _, m := range found {
		args := append(strings.Fields(m[1])[1:], "--help")
		out, err := exec.Command(logctl, args...).CombinedOutput()
		if usage := "Usage:\n  " + m[1]; err != nil || !strings.Contains(string(out), usage) {
			t.Errorf("%s: %v\n%s", m[1], err, out)
		}
	}
}
