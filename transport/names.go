package transport

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"conga/messages"
)

const maxReason = 200 // bytes of a peer's or the system's words that reach a log

// printable is s without what could move a cursor or forge a line, at most limit bytes.
func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s[:min(len(s), 4*limit)])
	for len(s) > limit {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return strings.TrimSpace(s)
}

// goodID says whether id can name a listener: the usual 36 characters of a uuid.
func goodID(id string) bool {
	return len(id) == 36 && uuid.Validate(id) == nil
}

// cleanNode is the node as it may go into the chain: a uuid for id, a printable name. It
// returns nil if it has no usable id. Its relay is untouched.
func cleanNode(n *messages.Node) *messages.Node {
	if !goodID(n.GetId()) {
		return nil
	}
	name := printable(n.GetName(), messages.MaxName)
	if name == "" {
		name = "listener-" + n.GetId()[:4]
	}
	return &messages.Node{Id: n.GetId(), Name: name, Relay: n.GetRelay(), Seed: n.GetSeed()}
}

// completeRelay is the relay address as others can reach it: a missing or unspecified
// host becomes the one the connection came from. It is false for what is no address.
func completeRelay(relay string, remote net.Addr) (string, bool) {
	host, port, err := net.SplitHostPort(relay)
	if err != nil || len(relay) > 255+6 || printable(host, 255) != host {
		return "", false
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", false
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = hostOf(remote)
		if host == "" {
			return "", false
		}
	}
	return net.JoinHostPort(host, port), true
}

// hostOf is the address without its port, empty if it has none.
func hostOf(addr net.Addr) string {
	if addr == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	return host
}
