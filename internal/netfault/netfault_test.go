package netfault

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a connection from node 1 to node 2.
func pair(t *testing.T, n *Network) (one, two net.Conn) {
	l := n.Listen(2)
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	one, err := n.Dialer(1)(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	two = <-accepted
	t.Cleanup(func() {
		one.Close()
		two.Close()
		l.Close()
	})
	return one, two
}

// echo writes to one end and reads from the other, and returns how long it took.
func echo(t *testing.T, from, to net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	go from.Write([]byte("hello"))
	b := make([]byte, 5)
	if _, err := io.ReadFull(to, b); err != nil || string(b) != "hello" {
		t.Fatal(err, string(b))
	}
	return time.Since(began)
}

func TestACutHoldsBytesUntilItIsMended(t *testing.T) {
	for _, one := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := New()
			a, b := pair(t, n)
			if !one {
				a, b = b, a
			}
			echo(t, a, b)
			n.Cut(1, 2)
			time.AfterFunc(3*time.Second, func() { n.Mend(2, 1) })
			if took := echo(t, a, b); took != 3*time.Second {
				t.Fatal(took)
			}
		})
	}
}

func TestAOneWayCutLeavesTheOtherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b := pair(t, n)
		n.CutOneWay(1, 2)
		if took := echo(t, b, a); took != 0 {
			t.Fatal(took)
		}
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := a.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		n.CutOneWay(2, 1)
		go b.Write([]byte("x"))
		a.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	})
}

func TestADelayMakesBytesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b := pair(t, n)
		n.Delay(2, 1, 20*time.Millisecond)
		if there, back := echo(t, a, b), echo(t, b, a); there != 0 || back != 20*time.Millisecond {
			t.Fatal(there, back)
		}
	})
}

func TestAnUnpluggedNodeStaysSoWhileCutsAreMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b := pair(t, n)
		n.Unplug(2)
		n.Cut(1, 2)
		time.AfterFunc(time.Second, func() { n.Mend(1, 2) })
		time.AfterFunc(3*time.Second, func() { n.Plug(2) })
		if took := echo(t, a, b); took != 3*time.Second {
			t.Fatal(took)
		}
	})
}

func TestDroppedConnectionsEndOnBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b := pair(t, n)
		n.Drop(2, 1)
		if _, err := a.Read(make([]byte, 1)); err == nil {
			t.Fatal("still there")
		}
		if _, err := b.Read(make([]byte, 1)); err == nil {
			t.Fatal("still there")
		}
	})
}

func TestDiallingWaitsForACutAndIsRefusedWhereNobodyListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		l := n.Listen(2)
		n.Listen(3)
		n.Isolate(2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dialer(3)(ctx, Address(2)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		n.Join(2)
		l.Close()
		if _, err := n.Dialer(3)(t.Context(), Address(2)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatal(err)
		}
	})
}

func TestSocketsOfTheSystemAreCutLikeThoseInMemory(t *testing.T) {
	n := New()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n.Name(l.Addr().String(), 2)
	a, err := n.Dialer(1)(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	echo(t, a, b)
	n.CutOneWay(2, 1)
	b.Write([]byte("x"))
	a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	n.Mend(1, 2)
	a.SetReadDeadline(time.Time{})
	if _, err := a.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsThroughAProxyBelongToTheirSender(t *testing.T) {
	n := New()
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer front.Close()
	go n.Proxy(front, 2, target.Addr().String(), 2, func(first []byte) int32 { return int32(first[1] - '0') })
	from := func(sender string) (a, b net.Conn) {
		a, err := net.Dial("tcp", front.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		go a.Write([]byte(sender))
		b, err = target.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(b, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close(); b.Close() })
		return a, b
	}
	one, two := from("n1")
	three, four := from("n3")
	n.CutOneWay(2, 1)
	echo(t, one, two)
	echo(t, three, four)
	echo(t, four, three)
	two.Write([]byte("x"))
	one.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := one.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}
