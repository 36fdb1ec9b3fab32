package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"unicode"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Exit statuses.
const (
	statusDone        = 0
	statusRefused     = 1 // the broker said no, or data is not as it should be
	statusUsage       = 2 // the command line, a file named in it, or the configuration
	statusUnreachable = 3
	statusInterrupted = 130
)

// failure is an error in the one sentence that people see.
type failure struct {
	status  int
	message string
	cause   error
}

func (f *failure) Error() string { return f.message }
func (f *failure) Unwrap() error { return f.cause }

func usage(format string, args ...any) *failure {
	return &failure{status: statusUsage, message: fmt.Sprintf(format, args...)}
}

func refused(format string, args ...any) *failure {
	return &failure{status: statusRefused, message: fmt.Sprintf(format, args...)}
}

func unreachable(format string, args ...any) *failure {
	return &failure{status: statusUnreachable, message: fmt.Sprintf(format, args...)}
}

// explain turns any error into a failure. what says what was being done ("list topics"), and may
// be empty.
func (a *app) explain(err error, what string) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	prefix := ""
	if what != "" {
		prefix = "cannot " + what + ": "
	}
	var refusal *kerr.Error
	if errors.As(err, &refusal) {
		f = refused("%s%s", prefix, reason(refusal, ""))
	} else if notServed(err) {
		f = refused("%sthe brokers do not serve this request", prefix)
	} else if sentence, ok := a.unreachable(err); ok {
		f = unreachable("%s%s", prefix, sentence)
	} else {
		f = refused("%s%v", prefix, err)
	}
	f.cause = err
	return f
}

// unreachable explains an error of the network; false means that it is of another kind.
func (a *app) unreachable(err error) (string, bool) {
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("the cluster names a broker %q, a name that is not known here; set an address that clients can reach with --advertise on that broker", dns.Name), true
	case errors.As(err, &op) && op.Op == "dial" && op.Addr != nil && !slices.Contains(a.bootstrap, op.Addr.String()):
		return fmt.Sprintf("the cluster names a broker at %s, which cannot be reached from here; start it, or set another address with --advertise on it", op.Addr), true
	case errors.As(err, &op):
		return fmt.Sprintf("the connection to %s failed (%v); see whether the broker runs, and repeat", op.Addr, op.Err), true
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer from %s within %v; repeat with a longer --timeout, or see whether a majority of brokers runs", a.at(), a.timeout), true
	}
	return "", false
}

// notServed reports whether no broker knows a request. The client library has no value for that.
func notServed(err error) bool {
	return err != nil && (errors.Is(err, kerr.UnsupportedVersion) || strings.Contains(err.Error(), "broker is too old"))
}

// at names the brokers that were asked.
func (a *app) at() string { return strings.Join(a.bootstrap, ",") }

// reason is why a broker refused, in its own words where it gave any.
func reason(err error, words string) string {
	if words == "" {
		var k *kerr.Error
		if !errors.As(err, &k) {
			return err.Error()
		}
		words = k.Description
		if words == "" {
			words = strings.ToLower(strings.ReplaceAll(k.Message, "_", " "))
		}
	}
	words = strings.TrimRight(strings.TrimSpace(words), ".")
	if words == "" {
		return "no reason given"
	}
	// "Topic 'a' already exists" → "topic …", but "ISR is too small" stays.
	r := []rune(words)
	if len(r) > 1 && unicode.IsUpper(r[0]) && !unicode.IsUpper(r[1]) {
		r[0] = unicode.ToLower(r[0])
	}
	return string(r)
}

// firstOf returns the failure to exit with after several were reported: the first.
func firstOf(failures []*failure) error {
	if len(failures) == 0 {
		return nil
	}
	if len(failures) == 1 {
		return failures[0]
	}
	all := make([]string, len(failures))
	for i, f := range failures {
		all[i] = f.message
	}
	return &failure{status: failures[0].status, message: strings.Join(all, "\nlogctl: ")}
}
