package address

import (
	"cmp"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Outward returns the addresses at which other machines may reach a port of this one, the likeliest first;
// there is at least one. For a port on all interfaces, that is the address from which this machine
// connects to the internet.
func Outward(addr net.Addr) []string {
	port, err := netip.ParseAddrPort(addr.String())
	if err != nil || !port.Addr().IsUnspecified() {
		return []string{addr.String()}
	}
	found := reachable(interfaces(), routes(), port.Addr().Is4())
	if len(found) == 0 {
		return []string{Shown(addr)}
	}
	at := make([]string, len(found))
	for i, ip := range found {
		at[i] = netip.AddrPortFrom(ip, port.Port()).String()
	}
	return at
}

// attached is a network interface with its addresses.
type attached struct {
	name   string
	flags  net.Flags
	bridge bool // according to the system
	addrs  []netip.Addr
}

// likelihood says how likely others reach this machine at an address; smaller is likelier.
type likelihood int

const (
	routed  likelihood = iota // of the interface that leads to the internet
	local                     // a network card's
	tunnel                    // of a tunnel: friends may share it, or it only leads out
	private                   // of a bridge for containers or machines inside this one
)

// reachable returns the addresses at which others may reach this machine, the likeliest first, IPv4 before
// IPv6. Bridges are left out if there is anything better, because hardly anybody listens in their networks. routes are the addresses from which this machine connects to the internet. only4
// leaves IPv6 out.
func reachable(all []attached, routes []netip.Addr, only4 bool) []netip.Addr {
	type place struct {
		ip     netip.Addr
		likely likelihood
	}
	var places []place
	for _, a := range all {
		if a.flags&net.FlagUp == 0 || a.flags&net.FlagLoopback != 0 {
			continue
		}
		for _, ip := range a.addrs {
			ip = ip.Unmap()
			if !ip.IsGlobalUnicast() || only4 && !ip.Is4() { // a link-local one works with a zone only
				continue
			}
			likely := local
			switch {
			case a.flags&net.FlagPointToPoint != 0:
				likely = tunnel
			case slices.Contains(routes, ip):
				likely = routed
			case a.bridge, inside(a.name):
				likely = private
			}
			places = append(places, place{ip, likely})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		if a.likely != b.likely {
			return cmp.Compare(a.likely, b.likely)
		}
		return cmp.Compare(a.ip.BitLen(), b.ip.BitLen())
	})
	var found []netip.Addr
	for _, p := range places {
		if p.likely < private || len(found) == 0 {
			found = append(found, p.ip)
		}
	}
	return found
}

// insiders are the names of interfaces that lead to containers and virtual machines inside this one.
var insiders = []string{
	"docker", "br-", "veth", "virbr", "vnet", "lxcbr", "lxdbr", "incusbr", "podman", "cni", "flannel", "cali", "kube", "vmnet", "vboxnet",
	"virtualbox", "vethernet", "vmware", "bridge", "awdl", "llw", "ifb", "tap",
}

func inside(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(insiders, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// interfaces lists this machine's interfaces; none if the system does not tell.
func interfaces() []attached {
	all, _ := net.Interfaces()
	found := make([]attached, 0, len(all))
	for _, i := range all {
		a := attached{name: i.Name, flags: i.Flags}
		_, err := os.Stat(filepath.Join("/sys/class/net", i.Name, "bridge")) // on Linux bridges have this folder
		a.bridge = err == nil
		addrs, _ := i.Addrs()
		for _, addr := range addrs {
			if network, is := addr.(*net.IPNet); is {
				if ip, ok := netip.AddrFromSlice(network.IP); ok {
					a.addrs = append(a.addrs, ip.Unmap())
				}
			}
		}
		found = append(found, a)
	}
	return found
}

// routes returns the addresses from which this machine would connect to the internet. It sends nothing: a
// UDP dial only looks up the route.
func routes() []netip.Addr {
	var found []netip.Addr
	for _, there := range []string{"198.41.0.4:53", "[2001:503:ba3e::2:30]:53"} { // a root name server
		conn, err := net.Dial("udp", there)
		if err != nil {
			continue
		}
		if here, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
			found = append(found, here.Addr().Unmap())
		}
		_ = conn.Close()
	}
	return found
}
