package check

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// imageEnv returns the variables of the image, and fails where the Dockerfile is not one, or its image
// holds more than it says.
func imageEnv(t *testing.T) (env []string) {
	t.Helper()
	ast, err := parser.Parse(bytes.NewReader(read(t, "docker/Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(ast.AST, &linter.Linter{})
	if err != nil {
		t.Fatal(err)
	}
	image := stages[len(stages)-1]
	if len(stages) != 2 || image.BaseName != "scratch" {
		t.Errorf("%d stages, the last from %s", len(stages), image.BaseName)
	}
	user := ""
	for _, c := range image.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.EnvCommand:
			for _, kv := range c.Env {
				env = append(env, kv.String())
			}
		case *instructions.RunCommand:
			t.Error("nothing can be run in an image of nothing")
		}
	}
	if id, _, _ := strings.Cut(user, ":"); id == "" || id == "0" {
		t.Errorf("the image runs as %q", user)
	}
	if _, err := strconv.Atoi(strings.Split(user, ":")[0]); err != nil {
		t.Errorf("the user %q is a name; there is no file of users in the image", user)
	}
	return env
}

func TestTheImageHoldsAllThatItsProgramsNeed(t *testing.T) {
	env := imageEnv(t)
	wouldStart(t, env)
	if os.Getuid() != 0 {
		t.Skip("only root can enter a directory as if it were all there is")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"brokerd", "logctl"} {
		b, err := os.ReadFile(filepath.Join(binaries, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), b, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/"+name, "version")
		if name == "brokerd" {
			cmd = exec.Command("/"+name, "--version")
		}
		cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		if out, err := cmd.CombinedOutput(); err != nil || len(out) == 0 {
			t.Errorf("%s alone: %v\n%s", name, err, out)
		}
	}
}

func TestComposeStartsThreeNodesThatKnowEachOther(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join(deploy, "docker"))
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: "compose.yaml", Content: read(t, "docker/compose.yaml")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	image := imageEnv(t)
	ids := map[string]bool{}
	for name, s := range project.Services {
		env := append([]string(nil), image...)
		for k, v := range s.Environment {
			env = append(env, k+"="+*v)
		}
		id := *s.Environment["BROKERD_NODE_ID"]
		if ids[id] || !strings.Contains(*s.Environment["BROKERD_VOTERS"], id+"@"+name+":9093") {
			t.Errorf("%s, node %s, is not among the voters, or not alone", name, id)
		}
		ids[id] = true
		advertised := false
		for _, p := range s.Ports {
			advertised = advertised || p.Target == 9092 && "127.0.0.1:"+p.Published == *s.Environment["BROKERD_ADVERTISE"]
		}
		if !advertised {
			t.Errorf("%s advertises an address that it does not publish", name)
		}
		wouldStart(t, env)
	}
	if len(ids) != 3 {
		t.Errorf("%d nodes", len(ids))
	}
}
