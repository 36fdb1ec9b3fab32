package local

import (
	"fmt"
	"net"
	"strconv"
)

// raftBase and adminBase are the first ports for other nodes and for metrics. The defaults of
// brokerd are kept where they do not meet Kafka's ports, which follow each other.
func raftBase(kafka int) int  { return above(kafka, 1000) }
func adminBase(kafka int) int { return above(kafka, 552) } // 9644 where Kafka's is 9092

// above is port+n; 0, any free port, where that is no port or port is 0 itself.
func above(port, n int) int {
	if port == 0 || port+n > maxPort {
		return 0
	}
	return port + n
}

const maxPort = 65535

// portPicker hands out ports, none of them twice.
type portPicker map[string]bool

// exactly returns the address of port base+i, or of a free one where base is 0.
func (p portPicker) exactly(base, i int) (string, error) {
	if base == 0 {
		return p.any()
	}
	if base+i > maxPort {
		return "", fmt.Errorf("%w: there is no port %d", ErrPortInUse, base+i)
	}
	addr := Address(base + i)
	if !p.take(addr) {
		return "", fmt.Errorf("%w: %s belongs to another program", ErrPortInUse, addr)
	}
	return addr, nil
}

// preferably returns the address of port base+i, or of a free one where that is taken.
func (p portPicker) preferably(base, i int) (string, error) {
	if base != 0 && base+i <= maxPort {
		if addr := Address(base + i); p.take(addr) {
			return addr, nil
		}
	}
	return p.any()
}

func (p portPicker) take(addr string) bool {
	if p[addr] {
		return false
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	_ = l.Close()
	p[addr] = true
	return true
}

// anyTries bounds how often a port that was handed out before is offered again.
const anyTries = 100

func (p portPicker) any() (string, error) {
	for range anyTries {
		l, err := net.Listen("tcp", Address(0))
		if err != nil {
			return "", err
		}
		addr := l.Addr().String()
		_ = l.Close()
		if !p[addr] {
			p[addr] = true
			return addr, nil
		}
	}
	return "", fmt.Errorf("%w: no port is free", ErrPortInUse)
}

// Address is a port of this machine, as HOST:PORT.
func Address(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
