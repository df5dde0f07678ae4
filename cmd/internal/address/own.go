package address

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// lookupTakes is how long the names of servers may take to be looked up.
const lookupTakes = 2 * time.Second

// Own returns the address of the list (each HOST:PORT, as others reach it) that is this machine's port: the only one with that
// port number, or else the one whose host is this machine. It is empty if none surely is.
func Own(all []string, port net.Addr) string {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTakes)
	defer cancel()
	here := []netip.Addr{}
	if at, err := netip.ParseAddrPort(port.String()); err == nil && !at.Addr().IsUnspecified() {
		here = append(here, at.Addr().Unmap())
	} else {
		for _, a := range interfaces() {
			here = append(here, a.addrs...)
		}
	}
	name, _ := os.Hostname()
	return own(all, port.String(), name, here, func(host string) []netip.Addr {
		found, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host) // a name that nobody knows is not this machine's
		return found
	})
}

func own(all []string, port, name string, here []netip.Addr, lookup func(host string) []netip.Addr) string {
	_, number, _ := net.SplitHostPort(port)
	var same, mine []string
	for _, one := range all {
		host, n, err := net.SplitHostPort(one)
		if err != nil || n != number {
			continue
		}
		same = append(same, one)
		short, _, _ := strings.Cut(host, ".")
		addrs := []netip.Addr{}
		if ip, err := netip.ParseAddr(host); err == nil {
			addrs = append(addrs, ip)
		} else if name == "" || !strings.EqualFold(host, name) && !strings.EqualFold(short, name) {
			addrs = lookup(host)
		} else {
			mine = append(mine, one)
		}
		if slices.ContainsFunc(addrs, func(ip netip.Addr) bool { return slices.Contains(here, ip.Unmap()) }) {
			mine = append(mine, one)
		}
	}
	switch {
	case len(mine) == 1:
		return mine[0]
	case len(same) == 1:
		return same[0]
	}
	return ""
}
