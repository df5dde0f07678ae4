package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"conga/cmd/conga-bench/internal/result"
	"conga/cmd/conga-bench/internal/usage"
	"conga/cmd/internal/ask"
	"conga/cmd/internal/cli"
	"conga/messages"
)

// The lines of a running chain.
const (
	hopLatency     = "hop latency p50"
	hopLatency99   = "hop latency p99"
	listenersCPU   = "listeners' CPU"
	listenerMemory = "memory of a listener"
	goroutines     = "goroutines of a listener"
	serverCPU      = "server's CPU"
	serverCPUCalm  = "server's CPU, clocks known"
	serverRSS      = "server's RSS"
	serverOwn      = "server's own memory"
	serverUpload   = "server's upload"
	serverBytes    = "server's bytes, to all"
	wireBytes      = "bytes on the wire"
	joining        = "joining one after another"
	splicing       = "splice"
	firstChunk50   = "join to first chunk p50"
	firstChunk99   = "join to first chunk p99"
	firstSound50   = "join to first sound p50"
	firstSound99   = "join to first sound p99"
	joiningBurst   = "joining all at once"
)

const (
	// frameEvery and frameSize are an mp3 frame at 44.1 kHz, sent alone, and a message of the raw relay for it.
	frameEvery, frameSize = time.Second * messages.SamplesPerFrame / 44100, 1024
	// mostSplices is how many listeners of a chain die in a round.
	mostSplices = 5
)

// chains measures running chains of all lengths, and the baselines.
func (b *bench) chains(ctx context.Context) error {
	for _, nodes := range b.Nodes {
		began := time.Now()
		for round := range b.Rounds {
			c := &chainRound{bench: b, nodes: nodes}
			if err := c.measure(ctx); err != nil && ctx.Err() != nil {
				return err
			} else if err != nil { // the machine may be too slow for a long chain, and the other lines count, too
				b.lacks("chain of %d, round %d: %v", nodes, round+1, err)
			}
		}
		b.say("chain of %d: %d rounds in %v", nodes, b.Rounds, time.Since(began).Round(time.Second))
	}
	return nil
}

// chainRound is one round of a chain of one length: conga first, because the baselines send what it sends.
type chainRound struct {
	*bench
	nodes int

	conga chainFigures
	chunk int           // bytes on the wire
	every time.Duration // a chunk
}

// chainFigures are the figures of conga.
type chainFigures struct {
	heard   Heard
	memory  usage.Memory
	server  serverFigures
	join    time.Duration
	splices []time.Duration
}

// serverFigures are those of any server.
type serverFigures struct {
	cpu    float64 // seconds a second
	calm   float64 // the same, when the newcomers' clocks are known; 0: not measured
	rss    held
	upload float64 // kbit/s
}

func (c *chainRound) measure(ctx context.Context) error {
	if err := c.measureConga(ctx); err != nil {
		return fmt.Errorf("conga: %w", err)
	}
	if c.nodes > 1 {
		if err := c.measureRelays(ctx); err != nil {
			return fmt.Errorf("raw relays: %w", err)
		}
	}
	if err := c.measureServers(ctx); err != nil {
		return err
	}
	return c.measureGreeting(ctx)
}

// measureConga lets a server and listeners run.
func (c *chainRound) measureConga(ctx context.Context) error {
	server, w, end, err := c.stage(ctx)
	if err != nil {
		return err
	}
	defer end()
	addr := server.ready["requests"]
	if c.nodes == slices.Min(c.Nodes) { // nobody else is there
		if err := c.firsts(ctx, w, addr, 0); err != nil {
			return err
		}
	}
	var joined Times
	if err := w.call(ctx, "Join", JoinArgs{Server: addr, Nodes: c.nodes}, &joined); err != nil {
		return err
	}
	c.conga.join = joined.All
	if err := cli.Pause(ctx, c.Settle); err != nil {
		return err
	}
	if err := c.listen(ctx, server, w); err != nil {
		return err
	}
	if err := c.profile(ctx, server, w); err != nil {
		return err
	}
	if err := w.call(ctx, "Memory", None{}, &c.conga.memory); err != nil {
		return err
	}
	if c.nodes > 1 && c.nodes == slices.Max(c.Nodes) {
		if err := c.calm(ctx, server); err != nil {
			return err
		}
		if err := c.firsts(ctx, w, addr, c.nodes); err != nil {
			return err
		}
	}
	splices := min(mostSplices, (c.nodes-1)/2)
	if splices == 0 {
		return nil
	}
	var spliced Times
	err = w.call(ctx, "Splice", splices, &spliced)
	c.conga.splices = spliced.Each
	return err
}

// listen measures the running chain.
func (c *chainRound) listen(ctx context.Context, server *conga, w *worker) error {
	before, err := sentBy(ctx, server)
	if err != nil {
		return err
	}
	cpu, err := server.cpu()
	if err != nil {
		return err
	}
	if err := w.call(ctx, "Listen", ListenArgs{For: c.For}, &c.conga.heard); err != nil {
		return err
	}
	later, err := server.cpu()
	if err != nil {
		return err
	}
	after, err := sentBy(ctx, server)
	if err != nil {
		return err
	}
	if c.conga.server.rss, err = server.rss(); err != nil {
		return err
	}
	heard := c.conga.heard
	if heard.Deaf > 0 {
		c.result.Lacks(fmt.Sprintf("%d of %d listeners, which got nothing for %v", heard.Deaf, c.nodes, c.For))
	}
	if heard.Chunks < 1 || after.Items <= before.Items {
		return fmt.Errorf("no music came within %v: --for must be longer", c.For)
	}
	c.conga.server.cpu = later.since(cpu)
	c.chunk = heard.Wire / heard.Chunks
	c.every = time.Duration(messages.FramesPerChunk(44100)) * frameEvery
	given, music := float64(after.Bytes-before.Bytes)/float64(after.Items-before.Items), float64(heard.Music)/float64(heard.Chunks)
	c.conga.server.upload = given * 8 / c.every.Seconds() / 1e3
	c.Add(serverBytes, mp3Bytes, "bytes a chunk", given, music)
	c.Add(wireBytes, mp3Bytes, "bytes a chunk", float64(heard.Wire)/float64(heard.Chunks), music)
	return nil
}

// calm measures the server's processor time once the clocks of the newcomers are known, so that they seldom ask for the time.
func (c *chainRound) calm(ctx context.Context, server *conga) error {
	if err := cli.Pause(ctx, c.Calm); err != nil {
		return err
	}
	before, err := server.cpu()
	if err != nil {
		return err
	}
	if err := cli.Pause(ctx, c.For); err != nil {
		return err
	}
	after, err := server.cpu()
	c.conga.server.calm = after.since(before)
	return err
}

// profile writes profiles of the running chain, if that is wanted, once it has been measured.
func (c *chainRound) profile(ctx context.Context, server *conga, w *worker) error {
	if c.Profile == "" {
		return nil
	}
	seconds := max(1, int(c.For.Seconds()))
	failed := make(chan error, 1)
	go func() {
		failed <- fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", server.ready["http"], seconds), c.profileOf("server"))
	}()
	err := w.call(ctx, "Listen", ListenArgs{For: time.Duration(seconds) * time.Second, Profile: c.profileOf("listeners")}, &Heard{})
	return errors.Join(err, <-failed)
}

func (c *chainRound) profileOf(who string) string {
	return filepath.Join(c.Profile, fmt.Sprintf("%s-%d.prof", who, c.nodes))
}

// fetch writes what is at the address into a file.
func fetch(ctx context.Context, addr, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, addr, http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("%s answers %s", addr, answer.Status), err)
	}
	return os.WriteFile(file, data, 0o644)
}

// Add adds a round of a line of this chain, of which less is better.
func (c *chainRound) Add(name, base, unit string, conga, than float64) {
	c.result.Add(result.Key{Name: name, Nodes: c.nodes, Baseline: base}, unit, result.Less, result.Round{Conga: conga, Base: than})
}

// sent is what a server has given out.
type sent struct {
	Bytes int64  `json:"bytesSent"` // to all listeners that it feeds
	Items uint64 `json:"next"`
}

func sentBy(ctx context.Context, server *conga) (sent, error) {
	var dump struct {
		Live struct {
			Pacer sent `json:"pacer"`
		} `json:"live"`
	}
	here := func(ctx context.Context, addr string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
	err := ask.DumpInto(ctx, here, server.ready["http"], &dump)
	return dump.Live.Pacer, err
}

// measureRelays measures raw relays: with single frames, and with what conga sends.
func (c *chainRound) measureRelays(ctx context.Context) error {
	for _, raw := range []struct {
		name string
		args RelaysArgs
	}{
		{rawFrames, RelaysArgs{Nodes: c.nodes, Size: frameSize, Every: frameEvery}},
		{rawChunks, RelaysArgs{Nodes: c.nodes, Size: c.chunk, Every: c.every}},
	} {
		heard, memory, err := c.relay(ctx, raw.args)
		if err != nil {
			return err
		}
		of := c.conga
		c.Add(hopLatency, raw.name, "us", of.heard.P50, heard.P50)
		c.Add(hopLatency99, raw.name, "us", of.heard.P99, heard.P99)
		c.Add(listenersCPU, raw.name, "s/s", of.heard.CPU, heard.CPU)
		if raw.name == rawChunks {
			c.Add(listenerMemory, raw.name, "MB", of.memory.Bytes/1e6, memory.Bytes/1e6)
			c.Add(goroutines, raw.name, "", of.memory.Goroutines, memory.Goroutines)
		}
	}
	return nil
}

func (c *chainRound) relay(ctx context.Context, args RelaysArgs) (heard Heard, memory usage.Memory, err error) {
	w, err := c.worker(ctx)
	if err != nil {
		return heard, memory, err
	}
	defer w.kill()
	if err := w.call(ctx, "StartRelays", args, &memory); err != nil {
		return heard, memory, err
	}
	return heard, memory, w.call(ctx, "ListenRelays", c.For, &heard)
}
