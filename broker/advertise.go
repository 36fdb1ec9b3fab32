package broker

import (
	"bufio"
	"encoding/hex"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
)

// advertiser answers by which name a client reaches a broker. Without --advertise that is
// decided connection by connection: no name is answered that the client cannot reach while a
// reachable one is known.
type advertiser struct {
	fixed string // host given by --advertise, "" for none
	port  int32  // port given by --advertise, or the bound one
	log   *slog.Logger

	gateway netip.Addr // a container's default gateway: published ports arrive from there

	mu     sync.Mutex
	logged map[string]bool // networks whose choice was logged
}

func newAdvertiser(fixed string, port int32, log *slog.Logger) *advertiser {
	return &advertiser{fixed: fixed, port: port, log: log, gateway: containerGateway(), logged: map[string]bool{}}
}

// self returns host and port of this broker for a client whose connection joins these addresses.
func (a *advertiser) self(local, remote net.Addr) (string, int32) {
	if a.fixed != "" {
		return a.fixed, a.port
	}
	l, r := addrOf(local), addrOf(remote)
	host := localhost
	if l.IsValid() && r != a.gateway && (l.IsLoopback() || !r.IsLoopback()) {
		host = nameOf(l)
	}
	a.note(host, l, r)
	return host, a.port
}

const localhost = "localhost"

// nameOf is how clients are told an address: 127.0.0.2 is nobody's localhost.
func nameOf(a netip.Addr) string {
	if a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || a == netip.IPv6Loopback() {
		return localhost
	}
	return a.WithZone("").String()
}

// note logs the choice, once a network.
func (a *advertiser) note(host string, local, remote netip.Addr) {
	a.mu.Lock()
	seen := a.logged[host]
	a.logged[host] = true
	a.mu.Unlock()
	if !seen {
		a.log.Info("advertised address chosen by connection", "host", host, "port", a.port, "local", local, "client", remote)
	}
}

func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// containerGateway returns the default gateway when this process runs in a container, else the
// zero address: on an ordinary host the gateway is a router that clients may well sit behind.
func containerGateway() netip.Addr {
	if !inContainer() {
		return netip.Addr{}
	}
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return netip.Addr{}
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if gw, ok := parseDefaultRoute(s.Text()); ok {
			return gw
		}
	}
	return netip.Addr{}
}

func inContainer() bool {
	for _, p := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(p); err == nil {
			return true
		}
	}
	return os.Getenv("container") != ""
}

// parseDefaultRoute reads a line of /proc/net/route; ok for the one whose destination is 0.
func parseDefaultRoute(line string) (netip.Addr, bool) {
	f := strings.Fields(line)
	if len(f) < 3 || f[1] != "00000000" {
		return netip.Addr{}, false
	}
	b, err := hex.DecodeString(f[2])
	if err != nil || len(b) != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte{b[3], b[2], b[1], b[0]}), true
}
