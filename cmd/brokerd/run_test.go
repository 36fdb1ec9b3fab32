package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quorumlog/broker/config"
)

// fake is a broker that takes some time to close.
type fake struct {
	closing time.Duration
	closed  bool
}

func (f *fake) server() server {
	return server{addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4242}, close: f.close}
}

func (f *fake) close(ctx context.Context) error {
	select {
	case <-time.After(f.closing):
		f.closed = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func opens(s server, err error) opener {
	return func(context.Context, *options, *config.Values, *slog.Logger) (server, error) { return s, err }
}

func TestAGracefulStopExitsWithZeroWithinTenSeconds(t *testing.T) {
	for closing, want := range map[time.Duration]int{8 * time.Second: exitDone, time.Hour: exitFailed} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var stderr bytes.Buffer
			b := &fake{closing: closing}
			const uptime = time.Minute
			time.AfterFunc(uptime, cancel)
			begin := time.Now()
			status := runWith(ctx, nil, nil, nil, &stderr, opens(b.server(), nil))
			if status != want || b.closed != (want == exitDone) {
				t.Errorf("closing takes %s: status %d, closed %v\n%s", closing, status, b.closed, &stderr)
			}
			if took := time.Since(begin) - uptime; took > 10*time.Second {
				t.Errorf("the stop took %s", took)
			}
		})
	}
}

func TestReadyTellsTheBoundAddress(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	runWith(ctx, []string{"--log-format=json", "--data-dir=/d", "--node-id=3"}, nil, nil, &stderr, opens(new(fake).server(), nil))
	for line := range strings.Lines(stderr.String()) {
		var l struct {
			Msg, Kafka, Data string
			Node             int32
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if l.Msg == "broker ready" {
			if l.Kafka != "127.0.0.1:4242" || l.Data != "/d" || l.Node != 3 {
				t.Errorf("%+v", l)
			}
			return
		}
	}
	t.Errorf("not ready: %s", &stderr)
}

func TestMisuseExitsWithTwoAndOneSentence(t *testing.T) {
	var stderr bytes.Buffer
	if status := runWith(t.Context(), []string{"--node", "3"}, nil, nil, &stderr, nil); status != exitMisused {
		t.Errorf("status %d", status)
	}
	if got := stderr.String(); got != "brokerd: unknown flag --node (did you mean --node-id?)\n" {
		t.Errorf("%q", got)
	}
}

func TestAFailedStartExitsWithOneAndSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	listen := func(_ context.Context, o *options, _ *config.Values, _ *slog.Logger) (server, error) {
		_, err := net.Listen("tcp", addr)
		return server{}, fmt.Errorf("wrapped: %w", err)
	}
	for _, c := range []struct {
		args []string
		open opener
		want string
	}{
		{[]string{"--listen", addr}, listen, addr + " is in use by another program; stop it, or choose another address with --listen"},
		{[]string{"--raft-listen", addr}, listen, addr + " is in use by another program; stop it, or choose another address with --raft-listen"},
		{[]string{"--admin-listen", addr}, listen, addr + " is in use by another program; stop it, or choose another address with --admin-listen"},
		{nil, opens(server{}, errors.New("/d belongs to node 2")), "/d belongs to node 2"},
	} {
		var stderr bytes.Buffer
		if status := runWith(t.Context(), c.args, nil, nil, &stderr, c.open); status != exitFailed {
			t.Errorf("status %d", status)
		}
		if !strings.Contains(stderr.String(), "cannot start: "+c.want) {
			t.Errorf("%s\nwant %s", &stderr, c.want)
		}
	}
}

func TestABrokerThatFailsIsClosedAndExitsWithOne(t *testing.T) {
	b := new(fake)
	failing := b.server()
	failed := make(chan struct{})
	close(failed)
	failing.failed, failing.err = failed, func() error { return errors.New("the metadata cannot be read") }
	var stderr bytes.Buffer
	if status := runWith(t.Context(), nil, nil, nil, &stderr, opens(failing, nil)); status != exitFailed || !b.closed {
		t.Errorf("status %d, closed %v", status, b.closed)
	}
	if !strings.Contains(stderr.String(), "the metadata cannot be read") {
		t.Errorf("%s", &stderr)
	}
}

func TestAStopWhileStartingIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	stopped := func(ctx context.Context, _ *options, _ *config.Values, _ *slog.Logger) (server, error) {
		cancel()
		return server{}, ctx.Err()
	}
	if status := runWith(ctx, nil, nil, nil, &stderr, stopped); status != exitDone {
		t.Errorf("status %d: %s", status, &stderr)
	}
}

func TestHelpNamesEveryFlagAndSetting(t *testing.T) {
	var help, settings, version bytes.Buffer
	for out, args := range map[*bytes.Buffer][]string{&help: {"--help"}, &settings: {"--help", "settings"}, &version: {"--version"}} {
		if status := runWith(t.Context(), args, nil, out, nil, nil); status != exitDone {
			t.Errorf("%v: status %d", args, status)
		}
	}
	for _, name := range optionNames() {
		if !strings.Contains(help.String(), "--"+name) {
			t.Errorf("--help does not name --%s", name)
		}
	}
	for s := range config.Broker.All() {
		if s.Effect != config.FromFlag && !strings.Contains(settings.String(), s.Name+" (") {
			t.Errorf("--help settings does not name %s", s.Name)
		}
	}
	if !strings.HasPrefix(version.String(), "brokerd ") {
		t.Errorf("version: %s", &version)
	}
}
