package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestEveryCommandExplainsItself(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" && c.Name() != "completion" && c.Parent() != nil && c.Parent().Name() != "completion" {
			t.Errorf("%s has no summary or no example", c.CommandPath())
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(newRoot(&app{}))
}

func TestHelpIsAResult(t *testing.T) {
	execute(t, "", "topic", "create", "--help").want(statusDone).says("Examples:", "--if-not-exists")
	execute(t, "").want(statusDone).says("Available Commands")
	execute(t, "", "completion", "bash").want(statusDone).says("complete")
}

func TestUsageErrorsNameWhatIsWrong(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	execute(t, "", "topics", "lst").want(statusUsage).complains(`"lst"`, `did you mean "list"`)
	execute(t, "", "tpoic").want(statusUsage).complains(`did you mean "topic"`)
	execute(t, "", "topic", "list", "--internl").want(statusUsage).complains("--internl", "logctl topic list --help")
	execute(t, "", "-o", "xml", "version").want(statusUsage).complains(`"xml"`)
	execute(t, "", "version", "extra").want(statusUsage).complains(`"extra"`)
	for _, b := range []string{"a:b:c", "http://host:9092", ":9092", "host:99999", "host:"} {
		execute(t, "", "-b", b, "version").want(statusUsage).complains("HOST:PORT")
	}
}

func TestUnreachableIsStatus3AndSaysWhatIsThere(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it is told of the probe
	secure.StartTLS()
	defer secure.Close()
	closed := listen(t, func(c net.Conn) { _ = c.Close() })
	silent := listen(t, func(net.Conn) {})
	other := listen(t, func(c net.Conn) { _, _ = c.Write([]byte("220 mail ready\r\n")) })

	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()

	for _, c := range []struct{ addr, want string }{
		{nobody.Addr().String(), "nothing listens at"},
		{web.Listener.Addr().String(), "is an HTTP server"},
		{secure.Listener.Addr().String(), "speaks TLS"},
		{closed, "closes it"},
		{silent, "does not answer"},
		{other, "not in Kafka's protocol"},
		{"no-such-host.invalid:9092", "not known"},
	} {
		execute(t, "", "--timeout", "500ms", "-b", c.addr, "topic", "list").want(statusUnreachable).complains(c.addr, c.want, "-b HOST:PORT")
	}
}

// listen accepts connections until the test ends and keeps open what serve does not close.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			defer conn.Close()
		}
	}()
	return l.Addr().String()
}

func TestBootstrapComesFromFlagEnvironmentOrProfile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "logctl", "config.yaml"), "default: home\nprofiles:\n  home:\n    bootstrap: h1:1,h2\n  away:\n    bootstrap: [a:1]\n    output: json\n")
	for _, c := range []struct {
		name, env, profile string
		flag               []string
		want, output       string
	}{
		{"profile", "", "", nil, "h1:1,h2:9092", "table"},
		{"environment over default profile", "e:1", "", nil, "e:1", "table"},
		{"named profile over environment", "e:1", "away", nil, "a:1", "json"},
		{"flag over all", "e:1", "away", []string{"f:1"}, "f:1", "json"},
	} {
		env := map[string]string{"XDG_CONFIG_HOME": dir, "LOGCTL_BOOTSTRAP": c.env}
		a := &app{env: func(k string) string { return env[k] }, bootstrap: c.flag, profile: c.profile, timeout: time.Second}
		if err := a.settle(); err != nil || a.at() != c.want || string(a.format) != c.output {
			t.Errorf("%s: %s %s, %v; want %s %s", c.name, a.at(), a.format, err, c.want, c.output)
		}
	}
}

func TestProfileMistakesAreNamed(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	execute(t, "", "--profile", "x", "version").want(statusUsage).complains("config.yaml")
	path := filepath.Join(dir, "logctl", "config.yaml")
	write(t, path, "profiles:\n  production: {bootstrap: p:1}\n")
	execute(t, "", "--profile", "prod", "version").want(statusUsage).complains(`no profile "prod"`, `did you mean "production"`)
	write(t, path, "profiles:\n  a: {bootstap: p:1}\n")
	execute(t, "", "version").want(statusUsage).complains(path, "bootstap")
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDestructiveCommandsAskOnATerminal(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "": false} {
		var stderr bytes.Buffer
		a := &app{in: strings.NewReader(answer), err: &stderr, interactive: true}
		err := a.confirm(t.Context(), false, "Delete all")
		if (err == nil) != want || stderr.String() != "Delete all? [y/N] " {
			t.Errorf("answer %q: %v after %q", answer, err, stderr.String())
		}
	}
}

func TestInterruptedQuestionEnds(t *testing.T) {
	r, w := net.Pipe()
	defer r.Close()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := &app{in: r, err: new(bytes.Buffer), interactive: true}
	if err := a.confirm(ctx, false, "Delete all"); err == nil {
		t.Error("taken for a yes")
	}
}

func TestInterruptHasItsOwnStatusAndNoMessage(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	if got := run(ctx, []string{"topic", "list"}, strings.NewReader(""), &stdout, &stderr); got != statusInterrupted || stderr.Len() > 0 {
		t.Errorf("status %d, stderr %q", got, stderr.String())
	}
}

func TestVersionAndClusterInfo(t *testing.T) {
	c := newBroker(t)
	if v := decode[versionInfo](c.ok("version", "-o", "json")); v.Go == "" || v.Platform == "" {
		t.Errorf("version %+v", v)
	}
	info := decode[clusterInfo](c.ok("cluster", "info", "-o", "json"))
	if info.ClusterID == "" || len(info.Brokers) == 0 || info.Brokers[0].Port == 0 {
		t.Errorf("cluster %+v", info)
	}
	c.ok("cluster", "info").says(info.ClusterID, "BROKER")
}

func TestNearestFindsTypingErrors(t *testing.T) {
	names := []string{"orders", "orders-archive", "returns", "a"}
	for in, want := range map[string]string{"ordrs": "orders", "oredrs": "orders", "ORDERS": "orders,orders-archive", "archive": "orders-archive", "x": "", "invoice": ""} {
		if got := strings.Join(nearest(in, names), ","); got != want {
			t.Errorf("nearest(%q) = %q, want %q", in, got, want)
		}
	}
}
