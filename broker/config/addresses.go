package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// perAddress is a list of ADDRESS:NUMBER.
func perAddress() Valid {
	return Valid{
		Text: "ADDRESS:N,…",
		fault: func(x value) (string, string) {
			if _, err := parsePerAddress(x.text); err != nil {
				return x.text, err.Error()
			}
			return "", ""
		},
	}
}

// PerAddress returns the value of max.connections.per.ip.overrides.
func (v *Values) PerAddress(name string) map[netip.Addr]int {
	m, _ := parsePerAddress(v.String(name)) // validated when it was set
	return m
}

func parsePerAddress(text string) (map[netip.Addr]int, error) {
	all := map[netip.Addr]int{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		at := strings.LastIndexByte(part, ':') // an IPv6 address has colons of its own
		if at < 0 {
			return nil, fmt.Errorf("%q is not of the form ADDRESS:N", part)
		}
		addr, err := netip.ParseAddr(strings.Trim(part[:at], "[]"))
		if err != nil {
			return nil, fmt.Errorf("%q is not an IP address; names are not resolved", part[:at])
		}
		n, err := strconv.ParseInt(part[at+1:], 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not a number of connections", part[at+1:])
		}
		all[addr.Unmap().WithZone("")] = int(n)
	}
	return all, nil
}
