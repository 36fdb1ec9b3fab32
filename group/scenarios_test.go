package group

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"quorumlog/internal/shards"
	"quorumlog/internal/shards/shardstest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// local is a coordinator in this process, in fake time.
type local struct {
	ctx context.Context
	c   *Coordinator
}

func (l local) send(client string, req kmsg.Request) <-chan kmsg.Response {
	return call(l.ctx, l.c, client, req)
}
func (l local) settle()                     { synctest.Wait() }
func (l local) sleep(d time.Duration)       { time.Sleep(d); synctest.Wait() }
func (l local) topicID(name string) TopicID { return testID(name) }

func testOptions() Options {
	return Options{Topics: someTopics, Logger: slog.New(slog.DiscardHandler), InitialRebalanceDelay: -1}
}

// newLocal must be called in a synctest bubble.
func newLocal(t *testing.T, o Options, l shards.Log) local {
	ctx, cancel := context.WithCancel(t.Context())
	c := New(o)
	c.Lead(0, 1, l)
	synctest.Wait()
	t.Cleanup(func() { c.Close(); cancel(); synctest.Wait() })
	return local{ctx, c}
}

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range parseScripts(t, string(text)) {
			t.Run(strings.TrimSuffix(filepath.Base(f), ".txt")+"/"+s.claim, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := testOptions()
					if s.delay > 0 {
						o.InitialRebalanceDelay = s.delay
					}
					runScript(t, newLocal(t, o, &shardstest.Log{}), s, "g")
				})
			})
		}
	}
}
