package main

import (
	"testing"
	"testing/synctest"
	"time"

	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/node"
	"conga/messages"
)

// Each hop takes 60 ms. Twelve of them use up more than the slack has for the depth of the chain; the server is allowed to
// open another chain, does so, and nobody hears it.
func TestChaos_Depth(t *testing.T) {
	const nodes, hop = 12, 60 * time.Millisecond
	songs := virtualSongs(t)
	synctest.Test(t, func(t *testing.T) {
		logger := virtualLogger(t)
		mem := newMemNet()
		mem.offers = tree{chains: 1, most: 2}
		mem.delay = hop
		origin := newVirtualServer(t, mem, songs, logger.With("node", "server"))
		defer origin.close()
		system := node.NewSystem(logger)
		defer system.Shutdown()
		chain := newVirtualChain(t, system, mem, nodes, logger)
		defer chain.close()
		time.Sleep(schedule.Settling + 50*time.Second)
		if trouble := chain.look(); trouble != "" {
			t.Error(trouble)
		}
		feeds := map[string]int{}
		for _, p := range chain.places() {
			feeds[p.upstream]++
		}
		if feeds[messages.ServerID] != 2 {
			t.Errorf("they are fed by %v", feeds)
		}
		for _, v := range chain.nodes {
			receipt, err := v.receipt(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if receipt.Lost != 0 || receipt.Twice != 0 || receipt.Underruns != 0 || receipt.Heard == 0 {
				t.Errorf("%s: %+v", v.node.Client.Node().GetName(), receipt)
			}
		}
		for _, record := range origin.records() {
			if e, is := record.Event.(*messages.BranchMoved); is {
				t.Logf("%s after %v: %v", record.Time.Format("15:04:05"), schedule.Settling, e)
			}
		}
	})
}
