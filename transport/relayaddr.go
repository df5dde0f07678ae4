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
	// proofPatience is how long a relay may take to prove whose it is: below what a listener
	// waits for its WELCOME.
	proofPatience = 2 * time.Second
	// resolvePatience is how long the name of a relay's host may take; with the proof it is below
	// that, too.
	resolvePatience = 2 * time.Second
	// An address may name namedAtOnce relays on other hosts than itself, then one every
	// namedWait: each is a connection that the server makes because somebody says so.
	namedAtOnce, namedWait = 10, 10 * time.Second
)

// ResolveFunc finds the addresses of a host.
type ResolveFunc func(ctx context.Context, host string) ([]netip.Addr, error)

func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// errRelay: it is no address.
var errRelay = errors.New("the node's relay must be HOST:PORT or :PORT")

// locate is the address of a relay as others can reach it. Its host is the connection's own,
// unless another is named: then that is looked up, once and here, so that nobody else has to
// ask for a name that a stranger owns. An error says why nothing is to be dialled for it; the
// address is then on the connection's own host. It need not be the listener's: see probe.
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
	if !t.pace.named.of(t.conn.RemoteAddr()).Allow() {
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

// reach is how far away somebody can be who knows an address.
type reach int

const (
	nowhere reach = iota
	thisMachine
	thisNetwork
	everywhere
)

// Networks of which net/netip has no word: that of providers (RFC 6598), and those of nobody.
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

// mayName says whether a connection from `own` may name the host: none that is nearer to the
// server than itself. Else a stranger could have it try what stands behind its firewall.
func mayName(own, host netip.Addr) bool {
	return reachOf(host) != nowhere && reachOf(host) >= reachOf(own)
}

// errOtherPort: the relay's port is open, but not the listener's.
var errOtherPort = errors.New("at its relay's address another program answers")

// probe tries the node's relay BEFORE the chain makes it anybody's source, and lets it prove
// that it is the node's. It says why that is not so, or nothing.
func (t *requestTalk) probe(node *messages.Node, key ed25519.PublicKey) string {
	if node.GetRelay() == "" {
		return "" // it does not want to be one
	}
	conn, err := t.cfg.Dial(t.life, node.GetRelay())
	if err != nil {
		return reasonOf(err)
	}
	defer conn.Close()
	defer context.AfterFunc(t.life, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(proofPatience))
	if err := askIdentity(conn, key); err != nil {
		return reasonOf(err)
	}
	return ""
}

// askIdentity asks the other end whether it is the key's owner.
func askIdentity(conn net.Conn, key ed25519.PublicKey) error {
	ask := &messages.AskIdentity{Nonce: nonce()}
	payload, err := proto.Marshal(ask)
	if err != nil {
		return fmt.Errorf("encode %s: %w", messages.KindIdentity, err)
	}
	question, err := AppendFrame(nil, Frame{Kind: messages.KindIdentity, Payload: payload})
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
