package hclogslog

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestRoutineMessagesAreLoweredByOneLevel(t *testing.T) {
	var out bytes.Buffer
	l := New(slog.New(slog.NewTextHandler(&out, nil)))
	l.Info("entering follower state")
	if out.Len() != 0 {
		t.Errorf("info is written: %s", &out)
	}
	l.With("group", "g").Warn("peer", "servers", hclog.Fmt("%d of %d", 1, 3))
	if got := out.String(); !strings.Contains(got, "level=INFO") || !strings.Contains(got, `servers="1 of 3"`) || !strings.Contains(got, "group=g") {
		t.Errorf("warning became %s", got)
	}
	if l.IsInfo() || !l.IsWarn() || l.GetLevel() != hclog.Warn {
		t.Error("levels do not follow the handler")
	}
}

func TestAPeerThatDoesNotAnswerIsNotToldByEveryGroup(t *testing.T) {
	var out bytes.Buffer
	l := New(slog.New(slog.NewTextHandler(&out, nil)))
	l.Error("failed to appendEntries to", "peer", 3)
	l.Error("failed to heartbeat to", "peer", 3)
	if out.Len() != 0 {
		t.Errorf("written: %s", &out)
	}
}
