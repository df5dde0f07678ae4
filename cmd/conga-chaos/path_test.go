package main

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/node"
	"conga/messages/raced"

	"pgregory.net/rapid"
)

// pathMore takes minutes.
var pathMore = flag.Bool("path.more", false, "in TestChain_Property_Path listeners come and go, too, uplinks are slow and logs restored; and in the end each feeds one")

// outage is a failure that lasts: whom it hits cannot be reached and reaches nobody.
type outage struct {
	at, lasts time.Duration
	kind      string // server, node, all, slow (a node's uplink); kill, end, join, restart, restore happen at once, but for the server's wait
	node      int
}

func (o outage) String() string {
	return fmt.Sprintf("%v %s %d for %v", o.at, o.kind, o.node, o.lasts)
}

// drawOutages is a few failures, any of them at any time, over each other too.
func drawOutages(t *rapid.T, nodes int) (all []outage) {
	kinds := []string{"server", "server", "node", "all", "kill", "restart"}
	if *pathMore {
		kinds = append(kinds, "end", "join", "join", "restore", "slow", "slow")
	}
	for range rapid.IntRange(1, 4).Draw(t, "failures") {
		o := outage{
			at:   time.Duration(rapid.IntRange(0, 20_000).Draw(t, "at")) * time.Millisecond,
			kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
			node: rapid.IntRange(0, nodes-1).Draw(t, "node"),
		}
		most := rapid.SampledFrom([]int{1_000, 8_000, 30_000, 30_000, 120_000}).Draw(t, "most")
		o.lasts = time.Duration(rapid.IntRange(50, most).Draw(t, "lasts")) * time.Millisecond
		all = append(all, o)
	}
	slices.SortStableFunc(all, func(a, b outage) int { return int(a.at - b.at) })
	return all
}

// Five seconds after the last failure, whatever it was and however long it took, who feeds
// whom is a path from the server to each, and everybody hears in time.
func TestChain_Property_Path(t *testing.T) {
	songs := virtualSongs(t)
	rapid.Check(t, func(rt *rapid.T) {
		nodes := rapid.IntRange(1, 5).Draw(rt, "nodes")
		offers := tree{chains: rapid.IntRange(1, 2).Draw(rt, "chains"), feed: rapid.IntRange(1, 2).Draw(rt, "feed")}
		outages := drawOutages(rt, nodes)
		if trouble := runOutages(t, songs, nodes, offers, outages, rt.Logf); trouble != "" {
			rt.Fatalf("%+v, %v: %s", offers, outages, trouble)
		}
	})
}

// Two hundred of one address (fewer with the race detector), whose server is away for longer than its window is: when it comes back
// all turn to it at once, and though they are one house, each hears in time.
func TestChain_House(t *testing.T) {
	away := outage{at: 3 * time.Second, kind: "server", lasts: 20 * time.Second}
	if trouble := runOutages(t, virtualSongs(t), raced.Size(200, 25), tree{}, []outage{away}, t.Logf); trouble != "" {
		t.Error(trouble)
	}
}

// inLineWithin is how long after that each node feeds at most one: those who were asked in need
// are let go. A first choice that was in vain several times is tried again after 160 s at the latest.
const inLineWithin = 3 * time.Minute

// runOutages lets the failures happen to a chain in virtual time and says what is wrong with it
// afterwards.
func runOutages(t *testing.T, songs string, nodes int, offers tree, outages []outage, say func(string, ...any)) (trouble string) {
	synctest.Test(t, func(t *testing.T) {
		logger := virtualLogger(t)
		mem := newMemNet()
		mem.offers = offers
		origin := newVirtualServer(t, mem, songs, logger.With("node", "server"))
		defer origin.close()
		system := node.NewSystem(logger)
		defer system.Shutdown()
		chain := newVirtualChain(t, system, mem, nodes, logger)
		defer chain.close()
		chain.copy = origin.records()
		chain.server = origin.wire
		time.Sleep(schedule.Settling)
		begin, last := time.Now(), time.Time{}
		for _, o := range outages {
			if end := begin.Add(o.at + o.lasts); end.After(last) {
				last = end
			}
			time.AfterFunc(o.at, func() { chain.hit(origin, o) })
		}
		time.Sleep(time.Until(last) + schedule.MendedWithin)
		if trouble = chain.look(); trouble == "" && *pathMore {
			time.Sleep(inLineWithin)
			trouble = chain.inLine(offers)
		}
	})
	return trouble
}
