package web

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"conga/messages"
)

const (
	// offerLasts is how long what a node said counts: it says so each second.
	offerLasts = 5 * time.Second
	// onTheWay is how long a player may take from the server's word to the node's next one.
	onTheWay = 3 * time.Second
)

// Vitals is how a listener is.
type Vitals struct {
	AheadUs, LateUs int64
	Players, Most   int
}

// Offers are the nodes that play for others, as they say themselves each second. It is safe for concurrent use.
type Offers struct {
	Now func() time.Time

	mu    sync.Mutex
	nodes map[string]*offer
}

// offer is one node.
type offer struct {
	at     netip.AddrPort // where players connect; invalid: nowhere
	vitals Vitals
	heard  time.Time
	since  time.Time   // it has offered places
	sent   []time.Time // players that may not be counted yet
}

// Pinged takes what a node says.
func (o *Offers) Pinged(node *messages.Node, ping *messages.ClockPing) {
	at, err := netip.ParseAddrPort(node.GetRelay())
	if err != nil {
		at = netip.AddrPort{} // a name would have to be looked up
	}
	now := o.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.nodes == nil {
		o.nodes = map[string]*offer{}
	}
	n := o.nodes[node.GetId()]
	if n == nil {
		n = &offer{}
		o.nodes[node.GetId()] = n
	}
	most := int(min(ping.GetPlayersAtMost(), 10000))
	if most > 0 && at.IsValid() && (n.vitals.Most == 0 || n.at != at) {
		n.since = now
	}
	if came := int(ping.GetPlayers()) - n.vitals.Players; came > 0 { // the first of those that were sent there
		n.sent = n.sent[min(came, len(n.sent)):]
	}
	n.at, n.heard = at, now
	n.vitals = Vitals{AheadUs: ping.GetAheadUs(), LateUs: ping.GetLateUs(), Players: int(min(ping.GetPlayers(), 10000)), Most: most}
	n.sent = slices.DeleteFunc(n.sent, func(t time.Time) bool { return now.Sub(t) > onTheWay })
}

// Parted forgets a node.
func (o *Offers) Parted(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.nodes, id)
}

// Vitals of a node; false if it has not said anything lately.
func (o *Offers) Vitals(id string) (Vitals, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.nodes[id]
	if n == nil || o.Now().Sub(n.heard) > offerLasts {
		return Vitals{}, false
	}
	return n.vitals, true
}

// Choose names the node that is to play for one more who comes from visitor and calls the server host: the least
// busy one that can be reached from there and has offered so by the time `known` (zero: ever). "" if there is none.
func (o *Offers) Choose(visitor netip.Addr, host string, known time.Time) string {
	now := o.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	var best *offer
	bestID, bestAt, bestLoad := "", "", 1.0
	for id, n := range o.nodes {
		at := n.reached(visitor, host)
		load := n.load(now)
		if at == "" || load >= 1 || now.Sub(n.heard) > offerLasts || !known.IsZero() && n.since.After(known) {
			continue
		}
		if best == nil || load < bestLoad || load == bestLoad && id < bestID {
			best, bestID, bestAt, bestLoad = n, id, at, load
		}
	}
	if best != nil {
		best.sent = append(best.sent, now)
	}
	return bestAt
}

// Reached are the addresses of all who play for one who comes from visitor, the first of them.
func (o *Offers) Reached(visitor netip.Addr, host string, most int) (all []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.Now()
	for _, n := range o.nodes {
		if at := n.reached(visitor, host); at != "" && n.vitals.Most > 0 && now.Sub(n.heard) <= offerLasts {
			all = append(all, at)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), most)]
}

// load is how full the node is, 1 or more: it has no place.
func (n *offer) load(now time.Time) float64 {
	coming := 0
	for _, t := range n.sent {
		if now.Sub(t) <= onTheWay {
			coming++
		}
	}
	if n.vitals.Most == 0 {
		return 1
	}
	return float64(n.vitals.Players+coming) / float64(n.vitals.Most)
}

// reached is where the visitor finds the node; "" if it cannot. An address means something only where it is
// known: one of the server's own machine is for others what they call the server.
func (n *offer) reached(visitor netip.Addr, host string) string {
	ip := n.at.Addr().Unmap()
	visitor = visitor.Unmap()
	switch {
	case !n.at.IsValid():
		return ""
	case ip.IsLoopback() && !visitor.IsLoopback():
		name, _, err := net.SplitHostPort(host)
		if err != nil {
			name = host
		}
		if name == "" || strings.HasPrefix(name, "[") {
			name = strings.Trim(name, "[]")
		}
		return net.JoinHostPort(name, portOf(n.at))
	case near(ip) && !near(visitor):
		return ""
	}
	return n.at.String()
}

func portOf(at netip.AddrPort) string {
	_, port, _ := net.SplitHostPort(at.String())
	return port
}

// near says whether an address means something only on its own network.
func near(ip netip.Addr) bool { return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() }
