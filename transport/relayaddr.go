package transport

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/messages/plain"
)

const (
	// proofPatience is how long a relay may take to prove whose it is. It is less than a listener waits
	// for its WELCOME, even together with resolvePatience.
	proofPatience = 2 * time.Second
	// resolvePatience is how long it may take to look up the name of a relay's host.
	resolvePatience = 2 * time.Second
	// An address may name namedAtOnce relays on other hosts, then one every namedWait: for each,
	// the server makes a connection only because somebody asks it to.
	namedAtOnce, namedWait = 10, 10 * time.Second
)

// ResolveFunc finds the addresses of a host.
type ResolveFunc func(ctx context.Context, host string) ([]netip.Addr, error)

func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// errRelay: it is not an address.
var errRelay = errors.New("the node's relay must be HOST:PORT or :PORT")

// locate returns the address at which others can reach a relay. Its host is the connection's,
// unless the listener names another. That one is looked up once, here, so that nobody else has to
// resolve a name that a stranger owns. The error says why the server must not dial it; the returned
// address is then on the connection's host. Whether the listener's node answers there, probe finds out.
func (t *requestTalk) locate(relay string) (string, error) {
	addr, ok := completeRelay(relay, t.conn.RemoteAddr())
	if !ok {
		return "", errRelay
	}
	host, port, _ := net.SplitHostPort(addr)
	own, err := netip.ParseAddr(hostOf(t.conn.RemoteAddr()))
	if err != nil {
		return addr, nil // a pipe has no address
	}
	home := net.JoinHostPort(own.String(), port)
	ip, err := netip.ParseAddr(host)
	if err == nil && ip.Unmap() == own {
		return home, nil
	}
	addresses := []netip.Addr{ip}
	if !t.pace.named.of(t.from()).Allow() {
		return home, errors.New("its address has advertised other hosts too often")
	}
	if err != nil {
		if addresses, err = t.lookUp(host); err != nil {
			return home, err
		}
	}
	for _, ip := range addresses {
		if ip = ip.Unmap().WithZone(""); mayName(own, ip) {
			return net.JoinHostPort(ip.String(), port), nil
		}
	}
	return home, fmt.Errorf("%s cannot be reached from outside its network: it should --advertise another address", plain.Text(host, messages.MaxName))
}

func (t *requestTalk) lookUp(host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(t.life, resolvePatience)
	defer cancel()
	found, err := t.cfg.Resolve(ctx, host)
	if err != nil || len(found) == 0 {
		return nil, fmt.Errorf("the server cannot look up its host %s: it should --advertise an IP address", plain.Text(host, messages.MaxName))
	}
	return found, nil
}

// reach says from where an address can be reached.
type reach int

const (
	nowhere reach = iota
	thisMachine
	thisNetwork
	everywhere
)

// Networks for which net/netip has no predicate: providers' shared addresses (RFC 6598), and addresses
// that nobody can have.
var (
	providers = netip.MustParsePrefix("100.64.0.0/10")
	nobodys   = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("240.0.0.0/4")}
)

func reachOf(ip netip.Addr) reach {
	switch {
	case !ip.IsValid(), ip.IsUnspecified(), ip.IsMulticast(), nobodys[0].Contains(ip), nobodys[1].Contains(ip):
		return nowhere
	case ip.IsLoopback():
		return thisMachine
	case ip.IsPrivate(), ip.IsLinkLocalUnicast(), providers.Contains(ip):
		return thisNetwork
	}
	return everywhere
}

// mayName reports whether a connection from `own` may name the host. It may not name one that is nearer
// to the server than itself; otherwise a stranger could make the server probe hosts behind its firewall.
func mayName(own, host netip.Addr) bool {
	return reachOf(host) != nowhere && reachOf(host) >= reachOf(own)
}

// errOtherPort: the relay's port is open, but it is not the listener's.
var errOtherPort = errors.New("at its relay's address another program answers")

// probe connects to the node's relay and lets it prove that it is the node's, before the chain lets it feed
// anybody. It returns why that failed, "" if it did not.
func (t *requestTalk) probe(node *messages.Node, key ed25519.PublicKey) string {
	if node.GetRelay() == "" {
		return "" // it does not want to feed anybody
	}
	conn, err := t.cfg.Dial(t.life, node.GetRelay())
	if err != nil {
		return reasonOf(err)
	}
	conn = stayAwake(conn)
	defer conn.Close()
	defer context.AfterFunc(t.life, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(proofPatience))
	if err := askIdentity(conn, key); err != nil {
		return reasonOf(err)
	}
	return ""
}

// askIdentity lets the other end prove that it has the key.
func askIdentity(conn net.Conn, key ed25519.PublicKey) error {
	ask := &messages.AskIdentity{Nonce: nonce()}
	question, err := messageFrame(messages.KindIdentity, ask)
	if err != nil {
		return err
	}
	if _, err := conn.Write(question); err != nil {
		return err
	}
	frame, err := ReadFrame(bufio.NewReader(conn))
	switch {
	case timedOut(err):
		return err
	case err != nil || frame.Kind != messages.KindIdentity:
		return errOtherPort
	}
	answer := &messages.ProveIdentity{}
	if proto.Unmarshal(frame.Payload, answer) != nil || !proves(answer, key, ask.GetNonce()) {
		return errOtherPort
	}
	return nil
}
