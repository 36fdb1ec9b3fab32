// Package hclogslog lets hashicorp/raft log through log/slog.
package hclogslog

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// Logger is an hclog.Logger over a slog.Logger. Raft's routine messages (elections, contact
// with peers) come one a partition, so they are lowered by one level: info is for operators. What
// a group says of a peer that does not answer is lowered further.
type Logger struct {
	log  *slog.Logger
	name string
	args []any
}

// New returns an adapter for l.
func New(l *slog.Logger) *Logger { return &Logger{log: l} }

func level(l hclog.Level) slog.Level {
	switch l {
	case hclog.Error:
		return slog.LevelWarn
	case hclog.Warn:
		return slog.LevelInfo
	case hclog.Info:
		return slog.LevelDebug
	}
	return slog.LevelDebug - 4
}

// unreachable are Raft's words for a peer that does not answer. Every group says so of every peer,
// time and again, while the node says it once of the node: they are for debugging.
var unreachable = map[string]bool{
	"failed to heartbeat to": true, "failed to appendEntries to": true, "failed to contact": true,
	"failed to make requestVote RPC": true,
}

// Log writes one line.
func (l *Logger) Log(lv hclog.Level, msg string, args ...any) {
	to := level(lv)
	if unreachable[msg] {
		to = slog.LevelDebug
	}
	if !l.log.Enabled(context.Background(), to) {
		return
	}
	for i, a := range args {
		if f, ok := a.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	l.log.Log(context.Background(), to, msg, args...)
}

// Trace, Debug, Info, Warn and Error write at hclog's level of that name.
func (l *Logger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }

// Debug writes a debug line.
func (l *Logger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }

// Info writes an info line.
func (l *Logger) Info(msg string, args ...any) { l.Log(hclog.Info, msg, args...) }

// Warn writes a warning.
func (l *Logger) Warn(msg string, args ...any) { l.Log(hclog.Warn, msg, args...) }

// Error writes an error line.
func (l *Logger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *Logger) enabled(lv hclog.Level) bool {
	return l.log.Enabled(context.Background(), level(lv))
}

// IsTrace reports whether trace lines are written; the others likewise.
func (l *Logger) IsTrace() bool { return l.enabled(hclog.Trace) }

// IsDebug reports whether debug lines are written.
func (l *Logger) IsDebug() bool { return l.enabled(hclog.Debug) }

// IsInfo reports whether info lines are written.
func (l *Logger) IsInfo() bool { return l.enabled(hclog.Info) }

// IsWarn reports whether warnings are written.
func (l *Logger) IsWarn() bool { return l.enabled(hclog.Warn) }

// IsError reports whether error lines are written.
func (l *Logger) IsError() bool { return l.enabled(hclog.Error) }

// ImpliedArgs returns the arguments of With.
func (l *Logger) ImpliedArgs() []any { return l.args }

// With returns a logger that adds args to every line.
func (l *Logger) With(args ...any) hclog.Logger {
	return &Logger{log: l.log.With(args...), name: l.name, args: append(l.args[:len(l.args):len(l.args)], args...)}
}

// Name returns the logger's name.
func (l *Logger) Name() string { return l.name }

// Named returns the same logger under a name.
func (l *Logger) Named(name string) hclog.Logger {
	return &Logger{log: l.log, name: name, args: l.args}
}

// ResetNamed is Named.
func (l *Logger) ResetNamed(name string) hclog.Logger { return l.Named(name) }

// SetLevel does nothing: slog's handler decides.
func (l *Logger) SetLevel(hclog.Level) {}

// GetLevel returns the lowest level that is written.
func (l *Logger) GetLevel() hclog.Level {
	for _, lv := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn} {
		if l.enabled(lv) {
			return lv
		}
	}
	return hclog.Error
}

// StandardLogger returns a log.Logger that writes here at info level.
func (l *Logger) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(o), "", 0)
}

// StandardWriter is StandardLogger's writer.
func (l *Logger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return slog.NewLogLogger(l.log.Handler(), slog.LevelInfo).Writer()
}
