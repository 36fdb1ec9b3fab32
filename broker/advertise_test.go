package broker

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"
)

func tcp(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func TestAdvertisedHostIsOneThatTheClientReached(t *testing.T) {
	a := newAdvertiser("", 9092, slog.New(slog.DiscardHandler))
	a.gateway = netip.MustParseAddr("172.17.0.1")
	for name, tc := range map[string]struct{ local, remote, want string }{
		"over loopback":                 {"127.0.0.1:9092", "127.0.0.1:5000", "localhost"},
		"over IPv6 loopback":            {"[::1]:9092", "[::1]:5000", "localhost"},
		"over another loopback address": {"127.0.0.2:9092", "127.0.0.1:5000", "127.0.0.2"},
		"from the network":              {"10.1.2.3:9092", "10.1.2.9:5000", "10.1.2.3"},
		"mapped IPv4":                   {"[::ffff:10.1.2.3]:9092", "[::ffff:10.1.2.9]:5000", "10.1.2.3"},
		"a container's published port":  {"172.17.0.2:9092", "172.17.0.1:5000", "localhost"},
		"another container":             {"172.17.0.2:9092", "172.17.0.3:5000", "172.17.0.2"},
		"a second interface":            {"192.168.7.1:9092", "192.168.7.2:5000", "192.168.7.1"},
		"IPv6 from the network":         {"[2001:db8::1]:9092", "[2001:db8::2]:5000", "2001:db8::1"},
		"a link-local address and zone": {"[fe80::1%eth0]:9092", "[fe80::2%eth0]:5000", "fe80::1"},
	} {
		if host, port := a.self(tcp(tc.local), tcp(tc.remote)); host != tc.want || port != 9092 {
			t.Errorf("%s: %s:%d; want %s:9092", name, host, port, tc.want)
		}
	}
}

func TestAdvertiseFlagWins(t *testing.T) {
	a := newAdvertiser("kafka.example", 19092, slog.New(slog.DiscardHandler))
	if host, port := a.self(tcp("127.0.0.1:9092"), tcp("127.0.0.1:5")); host != "kafka.example" || port != 19092 {
		t.Errorf("%s:%d", host, port)
	}
}

func TestDefaultRouteIsRead(t *testing.T) {
	for line, want := range map[string]string{
		"eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0": "172.17.0.1",
		"eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0": "",
		"Iface\tDestination\tGateway":                                "",
		"":                                                           "",
	} {
		got, ok := parseDefaultRoute(line)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v, %v; want %q", line, got, ok, want)
		}
	}
}
