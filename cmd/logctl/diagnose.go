package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// diagnose says why no broker could be talked to, address by address, and what to do.
func (a *app) diagnose(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var findings []string
	remedy := "start a broker there, or name another with -b HOST:PORT"
	for _, addr := range a.bootstrap {
		found, advice := probe(ctx, addr)
		if advice != "" {
			remedy = advice
		}
		var closed *kgo.ErrFirstReadEOF
		if found == "" && errors.As(err, &closed) {
			found = addr + " answers in Kafka's protocol, but closes the connection: it wants SASL, or is a controller's listener"
			remedy = "name another listener with -b HOST:PORT"
		} else if found == "" {
			found = fmt.Sprintf("%s is a broker, but the request failed (%v)", addr, err)
			remedy = "repeat the command"
		}
		findings = append(findings, found)
	}
	f := unreachable("%s; %s", strings.Join(findings, ", "), remedy)
	f.cause = err
	return f
}

// A probe waits this long for a connection, and this long for each answer.
const (
	probeDial   = 3 * time.Second
	probeAnswer = 700 * time.Millisecond
)

// apiVersions is an ApiVersions request of version 0 with correlation id 1 and no client id.
var apiVersions = []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}

// probe finds out what is at addr. It returns what it found and, where there is something better
// to do than to look for a broker elsewhere, that. A working broker is "".
func probe(ctx context.Context, addr string) (found, advice string) {
	dialer := net.Dialer{Timeout: probeDial}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return dialError(addr, err)
	}
	defer conn.Close()
	answer, err := ask(conn, apiVersions)
	if len(answer) == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		answer, err = ask(conn, []byte("\r\n\r\n")) // what an HTTP server waits for
	}
	switch {
	case len(answer) >= 8 && binary.BigEndian.Uint32(answer[4:]) == 1:
		return "", ""
	case bytes.HasPrefix(answer, []byte("HTTP/")), bytes.HasPrefix(answer, []byte("<")):
		return addr + " is an HTTP server, not a broker", "name the Kafka listener (port 9092 where nothing else is set) with -b HOST:PORT"
	case len(answer) > 1 && answer[0] == 21 && answer[1] == 3, len(answer) == 0 && speaksTLS(ctx, addr):
		return addr + " speaks TLS, which logctl does not yet", "name a plaintext listener with -b HOST:PORT"
	case len(answer) > 0:
		return addr + " answers, but not in Kafka's protocol", ""
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return addr + " accepts the connection and closes it", ""
	}
	return addr + " accepts the connection but does not answer", "see whether the broker hangs, or name another with -b HOST:PORT"
}

func ask(conn net.Conn, request []byte) ([]byte, error) {
	_ = conn.SetDeadline(time.Now().Add(probeAnswer))
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	return buf[:n], err
}

func speaksTLS(ctx context.Context, addr string) bool {
	d := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: probeDial},
		Config:    &tls.Config{InsecureSkipVerify: true}, // only to learn what it is; nothing is sent
	}
	ctx, cancel := context.WithTimeout(ctx, 2*probeAnswer)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func dialError(addr string, err error) (found, advice string) {
	var dns *net.DNSError
	var timeout net.Error
	host, _, _ := net.SplitHostPort(addr)
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("host %q of %s is not known", host, addr), "check the name, or give another with -b HOST:PORT"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at " + addr, ""
	case errors.As(err, &timeout) && timeout.Timeout():
		return addr + " does not answer", "check the address and the firewalls between, or name another with -b HOST:PORT"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Sprintf("%s cannot be reached (%v)", addr, err), ""
}
