package main

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/relay"
	relaysearch "conga/actors/relay/search"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/node"

	"pgregory.net/rapid"
)

// A server that is gone for shortestRestart is missed by all that wait for its music; if it is gone for longer than
// longestRestart, the node that it fed does not try to reach it ten times a second any more. Milliseconds.
const shortestRestart, longestRestart = 1000, 1500

// The server is killed and starts again some time later. Nobody but the first, whom it fed, looks for the music elsewhere: the
// chain below is whole, and nobody in it has what another lacks. When the music is back, it comes to each as it did before.
func TestChain_Property_ServerRestarts(t *testing.T) {
	songs := virtualSongs(t)
	rapid.Check(t, func(rt *rapid.T) {
		nodes := rapid.IntRange(2, 6).Draw(rt, "nodes")
		gone := time.Duration(rapid.IntRange(shortestRestart, longestRestart).Draw(rt, "gone, ms")) * time.Millisecond
		if trouble := restartServer(t, songs, nodes, gone); trouble != "" {
			rt.Fatalf("%d nodes, gone for %v: %s", nodes, gone, trouble)
		}
	})
}

func restartServer(t *testing.T, songs string, nodes int, gone time.Duration) (trouble string) {
	synctest.Test(t, func(t *testing.T) {
		logger := virtualLogger(t)
		mem := newMemNet()
		origin := newVirtualServer(t, mem, songs, logger.With("node", "server"))
		defer origin.close()
		system := node.NewSystem(logger)
		defer system.Shutdown()
		chain := newVirtualChain(t, system, mem, nodes, logger)
		defer chain.close()
		time.Sleep(schedule.Settling)
		before := chain.asked(t)
		if err := origin.restart(t.Context(), gone); err != nil {
			t.Error(err)
		}
		time.Sleep(schedule.MendedWithin)
		if trouble = chain.look(); trouble != "" {
			return
		}
		looked := 0
		after := chain.asked(t)
		for n := range after {
			if after[n] > before[n] {
				looked++
			}
		}
		if looked != 1 {
			trouble = fmt.Sprintf("%d have asked others for the music: they had tried %v connections, and now %v", looked, before, after)
		}
	})
	return trouble
}

// asked is how many connections for the music each node has ever tried.
func (s *virtualChain) asked(t *testing.T) (links []uint64) {
	for _, v := range s.nodes {
		dump, err := v.node.Client.Dump(t.Context())
		if err != nil {
			t.Error(err)
			return nil
		}
		links = append(links, dump.State.(map[string]any)[relay.Actor].(relaysearch.State).Links)
	}
	return links
}
