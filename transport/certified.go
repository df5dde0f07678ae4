package transport

import (
	"crypto/tls"
	"net"
	"net/netip"
	"regexp"
	"slices"
)

// PlayersTLS is how the stream port of a node speaks TLS with players. cert is what it shows them.
func PlayersTLS(cert BrowserCertificate) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert, NextProtos: []string{webProtocol}}
}

// maxHost is the longest host name, in bytes (RFC 1035).
const maxHost = 253

// goodHost matches the names that a certificate can be for.
var goodHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

// certify finds out whether the name by which a listener wants to be reached over TLS leads to its relay, BEFORE the page
// sends anybody there: else it could send everybody's browser to somebody else. The name is looked up beside the
// conversation, because name servers may be slow. Whether the listener has the certificate, browsers find out.
func (t *requestTalk) certify(name string) {
	relay, err := netip.ParseAddrPort(t.reached.GetRelay())
	if len(name) > maxHost || !goodHost.MatchString(name) || err != nil || !t.pace.named.of(t.from()).Allow() {
		return
	}
	guard(t.root, t.self, func() {
		found, err := t.lookUp(name)
		if err == nil && slices.ContainsFunc(found, func(ip netip.Addr) bool { return ip.Unmap() == relay.Addr().Unmap() }) {
			t.plays.Store(&name)
		}
	})
}

// secured answers a player that speaks HTTP inside TLS.
func (t *streamTalk) secured(conn net.Conn) {
	secure := tls.Server(conn, t.cfg.TLS)
	if shakeHands(t.playing, secure) == nil {
		t.web(secure)
	}
}
