package netfault

import (
	"context"
	"io"
	"net"
	"time"
)

// Proxy is where processes connect to a node, so that their connections are part of the network.
// sender tells from the first bytes of a connection, size of them, which node has dialled. The
// proxy serves until l is closed.
func (n *Network) Proxy(l net.Listener, to int32, target string, size int, sender func(first []byte) int32) {
	n.Name(target, to)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go n.forward(c, target, size, sender)
	}
}

// greetingTimeout bounds the wait for the first bytes of a connection.
const greetingTimeout = 10 * time.Second

func (n *Network) forward(c net.Conn, target string, size int, sender func([]byte) int32) {
	defer c.Close()
	first := make([]byte, size)
	_ = c.SetReadDeadline(time.Now().Add(greetingTimeout))
	if _, err := io.ReadFull(c, first); err != nil {
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithTimeout(context.Background(), greetingTimeout)
	defer cancel()
	out, err := n.Dialer(sender(first))(ctx, target)
	if err != nil {
		return
	}
	defer out.Close()
	if _, err := out.Write(first); err != nil {
		return
	}
	done := make(chan struct{}, 2)
	pipe := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		done <- struct{}{}
	}
	go pipe(out, c)
	go pipe(c, out)
	<-done
}
