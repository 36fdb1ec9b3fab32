package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"quorumlog/internal/brokertest"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// world is what the examples of the help and of docs/logctl.md speak of: topics, groups, files and
// other clusters.
type world struct {
	*broker
	dir   string
	env   []string
	names *strings.Replacer // the examples' names of clusters, to those that are there
}

// worldTopics are made anew before each example, where they are not there.
var worldTopics = []string{"orders", "returns", "greetings", "clicks", "test-a"}

func newWorld(t *testing.T) *world {
	t.Helper()
	if os.Getenv("LOGCTL_TEST_BOOTSTRAP") != "" {
		t.Skip("the examples would change the cluster that LOGCTL_TEST_BOOTSTRAP names")
	}
	w := &world{broker: newBroker(t), dir: t.TempDir()}
	three, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.ClusterID("other"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(three.Close)
	other := strings.Join(three.ListenAddrs(), ",")
	admin := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(admin.Close)
	admin.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "process_open_fds 1") })
	w.names = strings.NewReplacer(
		"broker1:9092", w.bootstrap, "kafka:9092", w.bootstrap, "other:9092", other,
		"--to 127.0.0.1:9092", "--to "+other, "127.0.0.1:9644", admin.Listener.Addr().String(),
		"local up --port 0", "local up --port 0", "local up", "local up --port 0", "--port 19092", "",
	)
	bin := filepath.Join(w.dir, "bin")
	for name, at := range map[string]string{"logctl": w.program, "brokerd": brokertest.Program()} {
		write(t, filepath.Join(bin, name), "#!/bin/sh\nexec "+at+` "$@"`+"\n")
		if err := os.Chmod(filepath.Join(bin, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.files()
	data, segment := partition(t)
	for from, to := range map[string]string{data: "data", segment: filepath.Base(segment)} {
		if err := os.Symlink(from, filepath.Join(w.dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	w.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "LOGCTL_BOOTSTRAP="+w.bootstrap,
		"HOME="+w.dir, "XDG_CONFIG_HOME="+w.dir, "XDG_STATE_HOME="+w.dir)
	t.Cleanup(func() {
		w.shell("logctl local down --delete --yes; logctl local down --dir ./five --delete --yes", 0)
		w.clear()
	})
	return w
}

// files writes those that examples read, as earlier ones may have written over them.
func (w *world) files() {
	w.t.Helper()
	for name, text := range map[string]string{
		"orders.csv":   "InvoiceNo,InvoiceDate,Quantity\n536365,2011-12-01 08:26,6\n",
		"orders.txt":   "536365:6 mugs\n",
		"order.txt":    "6 mugs\n",
		"events.jsonl": `{"id":1}` + "\n",
		"cluster.yaml": "topics:\n  orders: {}\n  returns: {configs: {retention.ms: 604800000}}\n  fresh: {partitions: 1}\n",
		"before.json":  `[{"topic":"orders","partition":0,"offset":1}]`,
	} {
		write(w.t, filepath.Join(w.dir, name), text)
	}
}

// client is a new one each time, which remembers no topic that was deleted since.
func (w *world) client() *kgo.Client {
	w.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(w.bootstrap, ",")...), kgo.UnknownTopicRetries(10),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		w.t.Fatal(err)
	}
	return cl
}

// clear deletes the topics that examples make.
func (w *world) clear() {
	cl := w.client()
	defer cl.Close()
	adm := kadm.NewClient(cl)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, _ = adm.DeleteTopics(ctx, append(worldTopics, "payments", "stock", "fresh")...)
}

// prepare makes what an example needs, as earlier ones may have changed or deleted it.
func (w *world) prepare(example string) {
	w.t.Helper()
	w.files()
	switch {
	case strings.HasPrefix(example, "logctl topic create"):
		w.clear()
		return
	case strings.Contains(example, "--check"):
		w.shell("logctl apply -f cluster.yaml --yes", 0)
	case strings.HasPrefix(example, "logctl local up"):
		w.shell("logctl local down --delete --yes", 0)
		return
	case strings.HasPrefix(example, "logctl local"):
		w.shell("logctl local up --port 0", 0)
		return
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	cl := w.client()
	defer cl.Close()
	adm := kadm.NewClient(cl)
	there, err := adm.ListTopics(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range worldTopics {
		if there.Has(name) {
			continue
		}
		if _, err := adm.CreateTopic(ctx, 4, 3, nil, name); err != nil {
			w.t.Fatal(err)
		}
		for p := range int32(4) {
			value := fmt.Sprintf(`{"Quantity":%d}`, 5*p)
			r := &kgo.Record{Topic: name, Partition: p, Key: []byte("17850"), Value: []byte(value)}
			if err := cl.ProduceSync(ctx, r).FirstErr(); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if !strings.Contains(example, " group ") {
		return
	}
	offsets := kadm.Offsets{}
	offsets.AddOffset("orders", 0, 1, -1)
	offsets.AddOffset("orders", 1, 0, -1)
	for _, g := range []string{"auditors", "billing"} {
		if err := adm.CommitAllOffsets(ctx, g, offsets); err != nil {
			w.t.Fatal(err)
		}
	}
}

// shell runs a line as a person would; one that goes on for ever is interrupted after a while.
func (w *world) shell(line string, interrupt time.Duration) (status int, stdout, stderr string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", line)
	cmd.Dir, cmd.Env = w.dir, w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second // processes of "local" go on, and have these open
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if interrupt > 0 {
		defer time.AfterFunc(interrupt, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }).Stop()
	}
	if _ = cmd.Wait(); ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		w.t.Errorf("it does not end: %s", line)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// endless is an example that goes on until it is interrupted.
var endless = regexp.MustCompile(`consume .* -f\b|logs .* -f\b|--follow|--watch`)

// otherwise is how examples end that cannot succeed here, and why.
var otherwise = map[string]int{
	"logctl cluster join 4":                                       statusRefused, // nobody starts it
	"logctl cluster remove 3 --yes":                               statusRefused, // it runs
	"logctl partition reassign --drain 3":                         statusRefused, // two brokers are too few for three replicas
	"logctl partition reassign --drain 3 --yes":                   statusRefused,
	"logctl txn describe payments-1":                              statusRefused, // nobody has it
	"logctl txn describe payments-1 -o json":                      statusRefused,
	"logctl txn abort orders:0 --start-offset 1200 --dry-run":     statusRefused, // there is none
	"logctl txn abort orders:0 --start-offset 1200 --yes":         statusRefused,
	"logctl partition reassign --replace 3=4":                     statusRefused, // there is no broker 4
	"logctl topic trim orders --before 12000 --partition 3 --yes": statusRefused, // it does not reach as far
}

func TestEveryExampleRuns(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for _, example := range append(helpExamples(), pageExamples(t)...) {
		if seen[example] {
			continue
		}
		seen[example] = true
		t.Run(example, func(t *testing.T) {
			w.broker.t = t
			w.example(example)
		})
		w.broker.t = t
	}
	if len(seen) < 130 {
		t.Errorf("only %d examples were found", len(seen))
	}
}

func (w *world) example(example string) {
	w.prepare(example)
	want := otherwise[example]
	line := w.names.Replace(example)
	switch {
	case strings.HasPrefix(example, "logctl bench produce") && !strings.Contains(example, "--records"):
		line += " --records 2000" // a million takes its time
	case example == "logctl cluster join 4":
		line += " --wait 1s"
	}
	interrupt := time.Duration(0)
	if endless.MatchString(example) {
		interrupt = 1500 * time.Millisecond
	}
	status, stdout, stderr := w.shell(line, interrupt)
	if status == statusUsage && strings.Contains(stderr, "nobody can be asked here; add --yes") {
		status, stdout, stderr = w.shell(line+" --yes", interrupt)
	}
	if status != want {
		w.t.Errorf("status %d, want %d\nran: %s\nstdout: %s\nstderr: %s", status, want, line, stdout, stderr)
	}
}

// helpExamples are those of all commands.
func helpExamples() []string {
	var out []string
	eachCommand(newRoot(&app{}), func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				out = append(out, line)
			}
		}
	})
	return out
}

// pageExamples are the lines of docs/logctl.md that are for a shell.
func pageExamples(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/logctl.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, line)
			}
		}
	}
	if len(out) < 10 {
		t.Errorf("only %d examples were found in docs/logctl.md", len(out))
	}
	return out
}
