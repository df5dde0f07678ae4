package main

import (
	"context"
	"slices"

	"conga/cmd/conga-bench/internal/result"
)

// group is lines that are measured together.
type group struct {
	name string
	long bool // only with --long, or if it is named
	run  func(context.Context) error
}

func (b *bench) all() []group {
	return []group{
		{name: "chain", run: b.chains},
		{name: "joins", run: b.joinsAtOnce},
		{name: "relay", run: b.catchUp},
		{name: "decode", run: b.decode},
		{name: "log", run: b.eventLog},
		{name: "program", run: b.program},
		{name: "longest", long: true, run: b.longestChain},
		{name: "clone", long: true, run: b.fromClone},
	}
}

// groups are those that are wanted.
func (b *bench) groups() []group {
	return slices.DeleteFunc(b.all(), func(g group) bool {
		if len(b.Only) > 0 {
			return !slices.Contains(b.Only, g.name)
		}
		return g.long && !b.Long
	})
}

func names() (all []string) {
	for _, g := range (&bench{}).all() {
		all = append(all, g.name)
	}
	return all
}

func known(name string) bool { return slices.Contains(names(), name) }

// What conga is compared with.
const (
	rawFrames = "raw relay, 1 KiB at 38.28/s"
	rawChunks = "raw relay, conga's chunks"
	fanOut    = "fan-out server"
	icecast   = "Icecast"
	greeting  = "TLS greeting"
	mp3Bytes  = "the mp3's"
	ioCopy    = "io.Copy"
	goMP3     = "go-mp3, decode only"
	plainFile = "a file, write and sync"
	plainRead = "the rows, read only"
	plainOpen = "the store, open only"
	goHello   = "a Go program that says hello"

	wantedNodes = "the 3,000 that are wanted"
)

// goals are what issue F asked for, on the machine that it was measured on.
var goals = []result.Goal{
	{Key: result.Key{Name: hopLatency, Baseline: rawFrames}, Of: result.Ratio, Bound: 1.5, Better: result.Less},
	{Key: result.Key{Name: listenersCPU, Baseline: rawFrames}, Of: result.Ratio, Bound: 0.5, Better: result.Less},
	{Key: result.Key{Name: serverCPU, Nodes: 1000, Baseline: icecast}, Of: result.Ratio, Bound: 0.1, Better: result.Less},
	{Key: result.Key{Name: serverRSS, Nodes: 1000, Baseline: icecast}, Of: result.Figure, Bound: 30, Better: result.Less},
	{Key: result.Key{Name: joining, Nodes: 1000, Baseline: greeting}, Of: result.Figure, Bound: 1.5, Better: result.Less},
	{Key: result.Key{Name: listenerMemory, Baseline: rawChunks}, Of: result.Figure, Bound: 0.35, Better: result.Less},
	{Key: result.Key{Name: goroutines, Baseline: rawChunks}, Of: result.Figure, Bound: 5, Better: result.Less},
	{Key: result.Key{Name: serverBytes, Baseline: mp3Bytes}, Of: result.Ratio, Bound: 1.03, Better: result.Less}, // for any number of listeners
	{Key: result.Key{Name: wireBytes, Baseline: mp3Bytes}, Of: result.Ratio, Bound: 1.02, Better: result.Less},
	{Key: result.Key{Name: catchingUp, Baseline: ioCopy}, Of: result.Ratio, Bound: 0.333, Better: result.More},
	{Key: result.Key{Name: replaying, Baseline: plainRead}, Of: result.Figure, Bound: 1e6, Better: result.More},
	{Key: result.Key{Name: starting, Baseline: goHello}, Of: result.Figure, Bound: 50, Better: result.Less},
	{Key: result.Key{Name: serving, Baseline: goHello}, Of: result.Figure, Bound: 50, Better: result.Less},
	{Key: result.Key{Name: programSize, Baseline: goHello}, Of: result.Figure, Bound: 25, Better: result.Less},
	{Key: result.Key{Name: serverAlone, Baseline: goHello}, Of: result.Figure, Bound: 30, Better: result.Less},
	{Key: result.Key{Name: listenerRSS, Baseline: goHello}, Of: result.Figure, Bound: 20, Better: result.Less},
	{Key: result.Key{Name: longest, Baseline: wantedNodes}, Of: result.Figure, Bound: wanted, Better: result.More},
	{Key: result.Key{Name: cloneToSound, Baseline: goHello}, Of: result.Figure, Bound: 90, Better: result.Less},
	{Key: result.Key{Name: firstChunk50, Baseline: greeting}, Of: result.Figure, Bound: 150, Better: result.Less},
}
