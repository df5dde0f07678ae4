package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"conga/messages"
)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestOffers(t *testing.T) {
	c := &clock{at: time.Unix(1000, 0)}
	o := &Offers{Now: c.now}
	say := func(id, relay string, players, most uint32) {
		o.Pinged(&messages.Node{Id: id, Relay: relay}, "", &messages.ClockPing{Players: players, PlayersAtMost: most})
	}
	lan := netip.MustParseAddr("192.168.1.9")
	choose := func() string {
		if place, found := o.Choose(lan, false); found {
			return place.At.String()
		}
		return ""
	}
	if got := choose(); got != "" {
		t.Errorf("nobody offers, and %q was chosen", got)
	}
	say("a", "192.168.1.3:1", 0, 2)
	say("b", "192.168.1.4:1", 1, 4)
	say("none", "192.168.1.5:1", 0, 0)
	say("closed", "", 0, 9)
	var got []string
	for range 6 { // promised places count until the nodes report
		got = append(got, choose())
	}
	if want := []string{"192.168.1.3:1", "192.168.1.4:1", "192.168.1.3:1", "192.168.1.4:1", "192.168.1.4:1", ""}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("chosen %q, want %q", got, want)
	}
	say("b", "192.168.1.4:1", 3, 4) // two of the three have come
	if got := choose(); got != "" {
		t.Errorf("%q has no place for one more", got)
	}
	say("a", "192.168.1.3:1", 1, 2) // one of the two has come, the other is on its way
	if got := choose(); got != "" {
		t.Errorf("%q has one, and one comes", got)
	}
	c.at = c.at.Add(onTheWay + time.Second)
	say("a", "192.168.1.3:1", 1, 2)
	say("b", "192.168.1.4:1", 4, 4)
	if got := choose(); got != "192.168.1.3:1" {
		t.Errorf("of a full one and one with room, %q was chosen", got)
	}
	c.at = c.at.Add(2 * offerLasts)
	if got := choose(); got != "" {
		t.Errorf("%q has said nothing for long", got)
	}
	say("new", "192.168.1.7:1", 0, 9)
	o.Parted("new")
	if got := choose(); got != "" {
		t.Errorf("%q has gone", got)
	}
}

// The listener with the least music tells how long the chain takes. It is asked what it has beyond what is heard, and has
// a chunk less just before the next one comes. One without music and one that says nothing more do not count.
func TestOffers_ChainTakes(t *testing.T) {
	c := &clock{at: time.Unix(1000, 0)}
	slack := 2 * time.Second
	o := &Offers{Now: c.now, Slack: func() time.Duration { return slack }}
	say := func(id string, ahead time.Duration) {
		o.Pinged(&messages.Node{Id: id, Name: "name of " + id}, "", &messages.ClockPing{AheadUs: ahead.Microseconds()})
	}
	is := func(takes time.Duration, last string) {
		t.Helper()
		if got, who := o.ChainTakes(); got != takes || who != last {
			t.Errorf("%v as %q says, want %v and %q", got, who, takes, last)
		}
	}
	is(0, "")
	say("near", 1900*time.Millisecond)
	is(0, "")
	say("far", 1500*time.Millisecond)
	say("without", -time.Second)
	is(390*time.Millisecond, "name of far")
	slack = time.Second // what it said was of music with another slack
	is(390*time.Millisecond, "name of far")
	say("far", 500*time.Millisecond)
	is(390*time.Millisecond, "name of far")
	c.at = c.at.Add(2 * offerLasts)
	is(0, "")
}

// An encrypted page is sent to nodes that encrypt, by their names, and to no other; a player may be sent to any.
func TestOffers_Encrypted(t *testing.T) {
	o := &Offers{Now: time.Now}
	say := func(id, relay, name string, most uint32) {
		o.Pinged(&messages.Node{Id: id, Relay: relay}, name, &messages.ClockPing{PlayersAtMost: most})
	}
	from := netip.MustParseAddr("203.0.113.9")
	say("a", "203.0.113.3:71", "", 9)
	if place, found := o.Choose(from, true); found {
		t.Errorf("an encrypted page is sent to %v, which does not encrypt", place)
	}
	say("b", "203.0.113.4:72", "b.example", 1)
	place, found := o.Choose(from, true)
	if !found || place.Node != "b" || place.URL(true) != "https://b.example:72/stream.mp3" || place.URL(false) != "http://203.0.113.4:72/stream.mp3" {
		t.Errorf("an encrypted page is sent to %v, %v", place, found)
	}
	if place, found := o.Choose(from, true); found {
		t.Errorf("the only node that encrypts is full, and an encrypted page is sent to %v", place)
	}
	if place, found := o.Choose(from, false); !found || place.URL(true) != "http://203.0.113.3:71/stream.mp3" {
		t.Errorf("a player is sent to %v, %v", place, found)
	}
}

// No visitor is sent to an address that means something else, or nothing, in its network.
func TestOffers_Reached(t *testing.T) {
	for name, test := range map[string]struct {
		node, from, host string
		reached          bool
	}{
		"the same machine":                       {"127.0.0.1:5", "127.0.0.1:9", "localhost:7000", true},
		"the same machine, by its address":       {"127.0.0.1:5", "127.0.0.1:9", "127.0.0.1:7000", true},
		"the same machine, IPv6":                 {"[::1]:5", "[::1]:9", "[::1]:7000", true},
		"a phone, and a node beside the server":  {"127.0.0.1:5", "192.168.1.9:9", "192.168.1.2:7000", false},
		"likewise, IPv6":                         {"[::1]:5", "[2001:db8::1]:9", "[2001:db8::2]:7000", false},
		"a proxy asks for a phone":               {"127.0.0.1:5", "127.0.0.1:9", "radio.example", false},
		"a proxy asks, and the node is nearby":   {"192.168.1.3:5", "127.0.0.1:9", "radio.example", false},
		"a proxy asks, and the node is anywhere": {"203.0.113.7:5", "127.0.0.1:9", "radio.example", true},
		"in one network":                         {"192.168.1.3:5", "192.168.1.9:9", "192.168.1.2:7000", true},
		"in one network, written as IPv6":        {"192.168.1.3:5", "[::ffff:192.168.1.9]:9", "192.168.1.2:7000", true},
		"from outside, into the network":         {"192.168.1.3:5", "203.0.113.1:9", "203.0.113.9:7000", false},
		"from outside, behind a provider":        {"100.64.1.3:5", "203.0.113.1:9", "203.0.113.9:7000", false},
		"in one VPN":                             {"100.64.1.3:5", "100.64.1.9:9", "100.64.1.1:7000", true},
		"in the open":                            {"203.0.113.7:5", "203.0.113.1:9", "203.0.113.9:7000", true},
		"in the open, with IPv4 only":            {"[2001:db8::7]:5", "203.0.113.1:9", "203.0.113.9:7000", false},
		"on a link without a name":               {"[fe80::1%eth0]:5", "[fe80::2]:9", "[fe80::3]:7000", false},
	} {
		n := &offer{at: netip.MustParseAddrPort(test.node)}
		visitor := visitorOf(&http.Request{RemoteAddr: test.from, Host: test.host})
		if got := n.reached(visitor); got != test.reached {
			t.Errorf("%s: reached is %v", name, got)
		}
	}
}
