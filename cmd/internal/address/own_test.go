package address

import (
	"net/netip"
	"strings"
	"testing"
)

func TestOwn(t *testing.T) {
	names := map[string]string{"a.example": "192.0.2.7", "b.example": "192.0.2.8", "home.example": "203.0.113.5"}
	lookup := func(host string) []netip.Addr {
		if ip, is := names[host]; is {
			return []netip.Addr{netip.MustParseAddr(ip)}
		}
		return nil
	}
	for _, c := range []struct{ name, all, port, host, here, want string }{
		{"an address of this machine", "192.0.2.7:7000 192.0.2.8:7000", "[::]:7000", "desk", "192.0.2.8", "192.0.2.8:7000"},
		{"a name with such an address", "a.example:7000 b.example:7000", "[::]:7000", "desk", "10.0.0.3 192.0.2.8", "b.example:7000"},
		{"this machine's name", "desk.lan:7000 shelf.lan:7000", "0.0.0.0:7000", "Desk", "192.168.1.2", "desk.lan:7000"},
		{"behind one router, on two ports", "home.example:7000 home.example:7010", "[::]:7010", "desk", "192.168.1.2", "home.example:7010"},
		{"two on one machine", "127.0.0.1:7000 127.0.0.1:7010", "127.0.0.1:7010", "desk", "127.0.0.1", "127.0.0.1:7010"},
		{"IPv6", "[2001:db8::1]:7000 [2001:db8::2]:7000", "[::]:7000", "desk", "2001:db8::2", "[2001:db8::2]:7000"},
		{"each behind a router of its own", "home.example:7000 a.example:7000", "[::]:7000", "desk", "192.168.1.2", ""},
		{"two names of one machine", "a.example:7000 desk:7000", "[::]:7000", "desk", "192.0.2.7", ""},
		{"another port", "a.example:7000 b.example:7000", "[::]:7020", "desk", "192.0.2.7", ""},
		{"none", "", "[::]:7000", "desk", "192.0.2.7", ""},
	} {
		var here []netip.Addr
		for _, ip := range strings.Fields(c.here) {
			here = append(here, netip.MustParseAddr(ip))
		}
		if got := own(strings.Fields(c.all), c.port, c.host, here, lookup); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
