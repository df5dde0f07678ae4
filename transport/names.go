package transport

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/protobuf/reflect/protoreflect"

	"conga/messages"
	"conga/messages/plain"
)

const maxReason = 200 // the longest text of a peer or the system that reaches a log, in bytes

// maxWords is the longest text, in bytes, that a node takes from its server or upstream. The longest are
// the lines of an Answer: a file's name and a number.
const maxWords = maxListed + 16

// makePlain replaces all texts in the message, which may come from anybody, with plain.Text of them.
func makePlain(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap(): // no word of the dialect has one
			m.Clear(field)
		case field.Kind() == protoreflect.StringKind && field.IsList():
			for i := range value.List().Len() {
				value.List().Set(i, protoreflect.ValueOfString(plain.Text(value.List().Get(i).String(), maxWords)))
			}
		case field.Kind() == protoreflect.StringKind:
			m.Set(field, protoreflect.ValueOfString(plain.Text(value.String(), maxWords)))
		case field.Kind() == protoreflect.MessageKind && field.IsList():
			for i := range value.List().Len() {
				makePlain(value.List().Get(i).Message())
			}
		case field.Kind() == protoreflect.MessageKind:
			makePlain(value.Message())
		}
		return true
	})
}

// goodID reports whether id can be a listener's: the usual 36 characters of a uuid.
func goodID(id string) bool {
	return len(id) == 36 && uuid.Validate(id) == nil
}

// cleanNode returns a copy of the node with a plain name, for the chain, or nil if its id is
// not a uuid. The relay address is unchanged and not checked.
func cleanNode(n *messages.Node) *messages.Node {
	if !goodID(n.GetId()) {
		return nil
	}
	name := plain.Text(n.GetName(), messages.MaxName)
	if name == "" {
		name = "listener-" + n.GetId()[:4]
	}
	return &messages.Node{Id: n.GetId(), Name: name, Relay: n.GetRelay()}
}

// completeRelay returns the relay address as others can reach it: a missing or unspecified
// host becomes the host of remote. It returns false if relay is not an address.
func completeRelay(relay string, remote net.Addr) (string, bool) {
	host, port, err := net.SplitHostPort(relay)
	if err != nil || len(relay) > 255+6 || plain.Text(host, 255) != host {
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

// ownHTTP returns the address of a node's debug port, or "" if it is not on the host that the node came
// from: others will ask there, and must not be led to another host.
func ownHTTP(addr string, remote net.Addr) string {
	addr, ok := completeRelay(addr, remote)
	if !ok {
		return ""
	}
	host, port, _ := net.SplitHostPort(addr)
	ip, err := netip.ParseAddr(host)
	if own := hostOf(remote); err != nil || own == "" || ip.Unmap().String() != own {
		return ""
	}
	return net.JoinHostPort(ip.Unmap().String(), port)
}

// hostOf returns the host of addr without the port, "" if addr has no port.
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
