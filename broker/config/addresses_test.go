package config

import (
	"maps"
	"net/netip"
	"strings"
	"testing"
)

func TestLimitsOfAddressesAreReadAndSlipsAreNamed(t *testing.T) {
	v := mustValues(t, map[string]string{"max.connections.per.ip.overrides": "10.0.0.7:500, [2001:db8::1]:100,2001:db8::2:7,::ffff:10.0.0.8:1"})
	want := map[netip.Addr]int{
		netip.MustParseAddr("10.0.0.7"): 500, netip.MustParseAddr("2001:db8::1"): 100,
		netip.MustParseAddr("2001:db8::2"): 7, netip.MustParseAddr("10.0.0.8"): 1,
	}
	if got := v.PerAddress("max.connections.per.ip.overrides"); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	for text, word := range map[string]string{"10.0.0.7": "ADDRESS:N", "localhost:5": "IP address", "10.0.0.7:x": "number", "10.0.0.7:-1": "number"} {
		err := Broker.Validate("max.connections.per.ip.overrides", text)
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
