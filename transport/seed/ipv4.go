package seed

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

// A client of 2016 knows IPv4 only, whatever address a native has for another node.

// isIPv4 reports whether such a client can use the host: an IPv4 address, or a name, which it
// looks up itself.
func isIPv4(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err != nil && !strings.Contains(host, ":") || err == nil && ip.Is4()
}

// lookPatience is how long a node that leaves may look for an address of the node above it.
const lookPatience = 300 * time.Millisecond

// overIPv4 returns host:port with an IPv4 address of the host; false if none is known. For this machine
// it is 127.0.0.1, if the port answers there.
func overIPv4(ctx context.Context, addr string) (string, bool) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", false
	}
	ip, err := netip.ParseAddr(host)
	ip = ip.Unmap()
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	switch {
	case err == nil && ip.Is4():
		return net.JoinHostPort(ip.String(), port), true
	case err == nil && isOurs(ip.String()):
		at := net.JoinHostPort("127.0.0.1", port)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", at)
		if err != nil {
			return "", false
		}
		_ = conn.Close()
		return at, true
	case err == nil:
		return "", false
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(ips) == 0 {
		return "", false
	}
	return net.JoinHostPort(ips[0].Unmap().String(), port), true
}
