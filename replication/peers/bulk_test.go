package peers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestBulkConnectionsCarryFilesBothWays(t *testing.T) {
	x := onLoopback(t, 2, nil)
	x.peers[2].HandleBulk(3, func(from int32, header []byte, conn net.Conn) error {
		if from != 1 || string(header) != "header" {
			return errors.New("wrong header")
		}
		b, err := io.ReadAll(conn)
		if err != nil {
			return err
		}
		_, err = conn.Write(b[:10])
		return err
	})
	x.start()
	name := t.TempDir() + "/f"
	data := bytes.Repeat([]byte("0123456789"), 1<<20)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := x.peers[1].OpenBulk(t.Context(), 2, 3, []byte("header"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := io.Copy(c, io.LimitReader(f, int64(len(data)-5))); err != nil || n != int64(len(data)-5) {
		t.Fatal(n, err)
	}
	if n, err := io.Copy(c, f); err != nil || n != 5 {
		t.Fatal(n, err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "0123456789" {
		t.Fatal(string(b), err)
	}
}

func TestBulkConnectionsAreBoundedAndEndWhenIdle(t *testing.T) {
	x := onLoopback(t, 2, func(c *Config) { c.Limits.Bulk, c.Timing.Idle = 1, 50*time.Millisecond })
	ended := make(chan error, 1)
	x.peers[2].HandleBulk(3, func(_ int32, _ []byte, conn net.Conn) error {
		_, err := io.ReadAll(conn)
		ended <- err
		return err
	})
	x.start()
	var e *Error
	if _, err := x.peers[1].OpenBulk(t.Context(), 2, 4, nil); !errors.As(err, &e) || e.Code != CodeNoService {
		t.Fatal(err)
	}
	var c *BulkConn
	eventually(t, "the first slot is free again", func() (ok bool) {
		var err error
		c, err = x.peers[1].OpenBulk(t.Context(), 2, 3, nil)
		return err == nil
	})
	defer c.Close()
	if _, err := x.peers[1].OpenBulk(t.Context(), 2, 3, nil); !errors.Is(err, ErrBusy) {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}

// receiver takes segment files.
type receiver struct {
	fake
	got chan string
}

func (r *receiver) ReceiveSegments(from int32, header []byte, conn net.Conn) error {
	b, err := io.ReadAll(conn)
	r.got <- fmt.Sprint(string(header), string(b), from)
	return err
}

func TestSegmentsGoToTheTransportOfTheOtherNode(t *testing.T) {
	r := &receiver{got: make(chan string, 1)}
	x := onLoopback(t, 2, func(c *Config) {
		c.Timing.Idle = 20 * time.Millisecond
		if c.Node == 2 {
			c.Transport = r
		}
	}).start()
	c, err := x.peers[1].Ship(t.Context(), 2, []byte("head"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("body")); err != nil {
		t.Fatal(err)
	}
	c.(*BulkConn).CloseWrite()
	if got := <-r.got; got != "headbody1" {
		t.Fatal(got)
	}
	if c, err := x.peers[2].Ship(t.Context(), 1, nil); err == nil || c != nil {
		t.Fatal(c, err)
	}
}

func TestADeadlineOfItsUserTakesThePlaceOfTheIdleTime(t *testing.T) {
	x := onLoopback(t, 2, func(c *Config) { c.Timing.Idle = 10 * time.Millisecond })
	x.peers[2].HandleBulk(3, func(_ int32, _ []byte, conn net.Conn) error {
		time.Sleep(60 * time.Millisecond)
		_, err := conn.Write([]byte("late"))
		return err
	})
	x.start()
	c, err := x.peers[1].OpenBulk(t.Context(), 2, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if b, err := io.ReadAll(c); err != nil || string(b) != "late" {
		t.Fatal(string(b), err)
	}
}
