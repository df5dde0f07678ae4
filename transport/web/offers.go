package web

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"conga/messages"
)

const (
	// offerLasts is how long a node's word counts. It speaks when something changes, or every 16 s.
	offerLasts = 25 * time.Second
	// onTheWay is how long it may take until a node reports a player that the server has sent to it.
	onTheWay = 3 * time.Second
)

// Vitals says how a listener is doing.
type Vitals struct {
	AheadUs, LateUs int64
	LateErrorUs     int64 // how wrong LateUs probably is
	Players, Most   int
}

// Offers are the nodes that play for others, as they say themselves. It is safe for concurrent use.
type Offers struct {
	Now   func() time.Time
	Slack func() time.Duration // how long before it is heard music is sent now; nil: messages.Slack

	mu    sync.Mutex
	nodes map[string]*offer
}

// offer is one node.
type offer struct {
	at     netip.AddrPort // where players connect; invalid: it takes none
	host   string         // by which it is reached over TLS; empty: it does not speak TLS
	vitals Vitals
	heard  time.Time
	slack  time.Duration // of the music at that time
	name   string
	sent   []time.Time // when players were sent there whom the node may not have counted yet
}

// Pinged takes a node's word. host is a name for which the node has a certificate; empty: none.
func (o *Offers) Pinged(node *messages.Node, host string, ping *messages.ClockPing) {
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
	if came := int(ping.GetPlayers()) - n.vitals.Players; came > 0 { // these are the first of those that were sent
		n.sent = n.sent[min(came, len(n.sent)):]
	}
	n.at, n.host, n.heard, n.name, n.slack = at, host, now, node.GetName(), messages.Slack
	if o.Slack != nil {
		n.slack = o.Slack()
	}
	n.vitals = Vitals{AheadUs: ping.GetAheadUs(), LateUs: ping.GetLateUs(), LateErrorUs: ping.GetLateErrorUs(), Players: int(min(ping.GetPlayers(), 10000)), Most: most}
	n.sent = slices.DeleteFunc(n.sent, func(t time.Time) bool { return now.Sub(t) > onTheWay })
}

// Parted forgets a node.
func (o *Offers) Parted(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.nodes, id)
}

// Vitals returns a node's vitals; false if it has said nothing lately.
func (o *Offers) Vitals(id string) (Vitals, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.nodes[id]
	if n == nil || o.Now().Sub(n.heard) > offerLasts {
		return Vitals{}, false
	}
	return n.vitals, true
}

// ChainTakes returns how much later than it was sent the music reaches the listener that has the least of it, by the
// listeners' words, and that listener's name. One that has none does not count: it would not have more if it were sent earlier.
func (o *Offers) ChainTakes() (takes time.Duration, last string) {
	now := o.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.nodes {
		if took, known := n.takes(now); known && took > takes {
			takes, last = took, n.name
		}
	}
	return takes, last
}

// Takes returns how much later than it was sent the music reaches a listener, by its word; false if it has none, or has said
// nothing lately.
func (o *Offers) Takes(id string) (time.Duration, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := o.nodes[id]; n != nil {
		return n.takes(o.Now())
	}
	return 0, false
}

func (n *offer) takes(now time.Time) (time.Duration, bool) {
	ahead := time.Duration(n.vitals.AheadUs) * time.Microsecond
	if ahead <= 0 || now.Sub(n.heard) > offerLasts {
		return 0, false
	}
	return n.slack - messages.MaxChunkDuration - ahead, true
}

// Place is where a player is sent.
type Place struct {
	Node string // its id
	At   netip.AddrPort
	Host string // its name, over TLS; empty: the node does not speak TLS
}

// URL is where the music is, over TLS if the node speaks it and the player likes that.
func (p Place) URL(secure bool) string {
	if secure && p.Host != "" {
		return "https://" + net.JoinHostPort(p.Host, strconv.Itoa(int(p.At.Port()))) + streamPath
	}
	return "http://" + p.At.String() + streamPath
}

// Choose names the node that is to play for one more visitor: the least busy one that can be reached from this address,
// over TLS if it must be secure. found is false if there is none.
func (o *Offers) Choose(visitor netip.Addr, secure bool) (place Place, found bool) {
	now := o.Now()
	o.mu.Lock()
	defer o.mu.Unlock()
	var best *offer
	bestID, bestLoad := "", 1.0
	for id, n := range o.nodes {
		load := n.load(now)
		if load >= 1 || now.Sub(n.heard) > offerLasts || !n.reached(visitor) || secure && n.host == "" {
			continue
		}
		if best == nil || load < bestLoad || load == bestLoad && id < bestID {
			best, bestID, bestLoad = n, id, load
		}
	}
	if best == nil {
		return Place{}, false
	}
	best.sent = append(best.sent, now)
	return Place{bestID, best.at, best.host}, true
}

// load is how full the node is; from 1 on it has no place left.
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

// reached says whether the visitor can connect to the node. The address is invalid if it is not known where the visitor
// is. The server has tried the node's port already, but from its own place.
func (n *offer) reached(visitor netip.Addr) bool {
	at, from := n.at.Addr().Unmap(), visitor.Unmap()
	switch {
	case !n.at.IsValid(), at.IsLinkLocalUnicast(): // a link-local address needs the visitor's own interface
		return false
	case from.IsLoopback(): // the visitor is on the server's machine
		return true
	case at.IsLoopback(), from.IsValid() && at.Is4() != from.Is4(): // not everybody has both IPv4 and IPv6
		return false
	}
	return !near(at) || near(from)
}

// shared is the network between a provider and its customers, and of some VPNs. Its addresses are not reached from
// everywhere.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// near says whether an address means something only on its own network.
func near(ip netip.Addr) bool {
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || shared.Contains(ip)
}
