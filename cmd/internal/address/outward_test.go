package address

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestReachable(t *testing.T) {
	const up = net.FlagUp | net.FlagBroadcast | net.FlagMulticast | net.FlagRunning
	ips := func(text string) (all []netip.Addr) {
		for _, ip := range strings.Fields(text) {
			all = append(all, netip.MustParseAddr(ip))
		}
		return all
	}
	lo := attached{name: "lo", flags: net.FlagUp | net.FlagLoopback, addrs: ips("127.0.0.1 ::1")}
	docker := attached{name: "docker0", flags: up &^ net.FlagRunning, addrs: ips("172.17.0.1 fe80::1")}
	compose := attached{name: "br-1f00baa4", flags: up, addrs: ips("172.18.0.1")}
	wifi := attached{name: "wlp3s0", flags: up, addrs: ips("192.168.1.23 2001:db8:1::23 fe80::23")}
	cable := attached{name: "enp2s0", flags: up, addrs: ips("10.1.2.3")}
	down := attached{name: "enp9s0", flags: net.FlagBroadcast, addrs: ips("10.9.9.9")}
	vpn := attached{name: "tun0", flags: net.FlagUp | net.FlagPointToPoint, addrs: ips("10.8.0.6")}
	bridged := attached{name: "br0", flags: up, bridge: true, addrs: ips("192.168.7.2")}
	lab := attached{name: "lab0", flags: up, bridge: true, addrs: ips("10.77.0.1")}
	sixOnly := attached{name: "eth0", flags: up, addrs: ips("fe80::5 2001:db8::5")}
	for _, test := range []struct {
		name   string
		all    []attached
		routes string
		only4  bool
		want   string
	}{
		{"none", []attached{lo}, "", false, ""},
		{"docker comes first", []attached{lo, docker, compose, wifi}, "192.168.1.23", true, "192.168.1.23"},
		{"no way out", []attached{lo, docker, wifi}, "", true, "192.168.1.23"},
		{"two networks", []attached{cable, docker, wifi}, "192.168.1.23", true, "192.168.1.23 10.1.2.3"},
		{"both versions", []attached{docker, cable, wifi}, "192.168.1.23 2001:db8:1::23", false, "192.168.1.23 2001:db8:1::23 10.1.2.3"},
		{"down", []attached{down, wifi}, "192.168.1.23", true, "192.168.1.23"},
		{"the way out is a tunnel", []attached{vpn, wifi}, "10.8.0.6", true, "192.168.1.23 10.8.0.6"},
		{"only a tunnel", []attached{lo, vpn}, "10.8.0.6", true, "10.8.0.6"},
		{"a tunnel among friends", []attached{vpn, docker, wifi, cable}, "192.168.1.23", true, "192.168.1.23 10.1.2.3 10.8.0.6"},
		{"the card is in a bridge", []attached{lab, docker, bridged}, "192.168.7.2", true, "192.168.7.2"},
		{"only IPv6", []attached{docker, sixOnly}, "2001:db8::5", false, "2001:db8::5"},
		{"IPv6 is not listened to", []attached{lo, sixOnly}, "2001:db8::5", true, ""},
		{"only containers", []attached{lo, docker, compose}, "", false, "172.17.0.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := reachable(test.all, ips(test.routes), test.only4); !slices.Equal(got, ips(test.want)) {
				t.Errorf("%v, want %s", got, test.want)
			}
		})
	}
}

// If an address was named, it is the only one.
func TestOutward(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:7000", "[::1]:7000", "192.0.2.7:1"} {
		if got := Outward(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))); !slices.Equal(got, []string{addr}) {
			t.Errorf("%s: %v", addr, got)
		}
	}
	for _, addr := range []string{"0.0.0.0:7000", "[::]:7000"} {
		for _, at := range Outward(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))) {
			if port, err := netip.ParseAddrPort(at); err != nil || port.Port() != 7000 || port.Addr().IsUnspecified() {
				t.Errorf("%s: %s, %v", addr, at, err)
			}
		}
	}
}
