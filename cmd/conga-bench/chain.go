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

	"conga/cmd/conga-bench/internal/crowd"
	"conga/cmd/conga-bench/internal/result"
	"conga/cmd/conga-bench/internal/usage"
	"conga/cmd/internal/ask"
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
	serverRSS      = "server's RSS"
	serverUpload   = "server's upload"
	serverBytes    = "server's bytes, to all"
	wireBytes      = "bytes on the wire"
	joining        = "joining one after another"
	splicing       = "splice"
	firstChunk50   = "join to first chunk p50"
	firstChunk99   = "join to first chunk p99"
	firstSound50   = "join to first sound p50"
	firstSound99   = "join to first sound p99"
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
	rss    float64 // MB
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
	server, stop, err := c.serve(ctx)
	if err != nil {
		return err
	}
	defer stop()
	w, err := c.worker(ctx)
	if err != nil {
		return err
	}
	defer w.kill()
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
	if err := pause(ctx, c.Settle); err != nil {
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

// firsts lets some listeners join, hear and go, beside so many others.
func (c *chainRound) firsts(ctx context.Context, w *worker, addr string, others int) error {
	var firsts []crowd.First
	if err := w.call(ctx, "Firsts", FirstsArgs{Server: addr, Times: c.Joins}, &firsts); err != nil {
		return err
	}
	greeted, err := c.greet(ctx, c.Joins, frameSize, false)
	if err != nil {
		return err
	}
	var chunks, sounds []time.Duration
	for _, first := range firsts {
		chunks, sounds = append(chunks, first.Chunk), append(sounds, first.Sound)
	}
	for _, line := range []struct {
		name string
		took []time.Duration
		of   float64
	}{{firstChunk50, chunks, 50}, {firstChunk99, chunks, 99}, {firstSound50, sounds, 50}, {firstSound99, sounds, 99}} {
		c.result.Add(result.Key{Name: line.name, Nodes: others, Baseline: greeting}, "ms", result.Less,
			result.Round{Conga: percentile(line.took, line.of), Base: percentile(greeted.Each, line.of)})
	}
	return nil
}

// percentile is in milliseconds.
func percentile(of []time.Duration, p float64) float64 {
	all := make([]float64, len(of))
	for i, d := range of {
		all[i] = ms(d)
	}
	return result.Percentile(all, p)
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

// measureServers measures servers that send the same to each client.
func (c *chainRound) measureServers(ctx context.Context) error {
	music, err := songIn(c.Songs)
	if err != nil {
		return err
	}
	server, err := c.worker(ctx)
	if err != nil {
		return err
	}
	defer server.kill()
	var addr string
	if err := server.call(ctx, "StartFan", FanArgs{Music: music, Size: c.chunk, Every: c.every}, &addr); err != nil {
		return fmt.Errorf("fan-out server: %w", err)
	}
	fan, err := c.serving(ctx, server.process, addr, "")
	if err != nil {
		return fmt.Errorf("fan-out server: %w", err)
	}
	c.compareServer(fanOut, fan)
	server.kill()
	ice, addr, stop, err := c.startIcecast(ctx, music, c.chunk, c.every)
	if errors.Is(err, errNoIcecast) {
		c.result.Lacks("what is against Icecast, for " + err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	defer stop()
	cast, err := c.serving(ctx, ice, addr, icecastHello)
	if err != nil {
		return fmt.Errorf("icecast: %w", err)
	}
	c.compareServer(icecast, cast)
	return nil
}

// serving measures a server with as many clients.
func (c *chainRound) serving(ctx context.Context, server *process, addr, hello string) (f serverFigures, err error) {
	clients, err := c.worker(ctx)
	if err != nil {
		return f, err
	}
	defer clients.kill()
	if err := clients.call(ctx, "StartReaders", ReadersArgs{Addr: addr, Nodes: c.nodes, Hello: hello}, &None{}); err != nil {
		return f, err
	}
	if err := pause(ctx, time.Second); err != nil {
		return f, err
	}
	var before, after int64
	if err := clients.call(ctx, "ReadersRead", None{}, &before); err != nil {
		return f, err
	}
	cpu, err := server.cpu()
	if err != nil {
		return f, err
	}
	if err := pause(ctx, c.For); err != nil {
		return f, err
	}
	later, err := server.cpu()
	if err != nil {
		return f, err
	}
	if err := clients.call(ctx, "ReadersRead", None{}, &after); err != nil {
		return f, err
	}
	f.cpu, f.upload = later.since(cpu), float64(after-before)*8/later.at.Sub(cpu.at).Seconds()/1e3
	f.rss, err = server.rss()
	return f, err
}

func (c *chainRound) compareServer(name string, than serverFigures) {
	is := c.conga.server
	c.Add(serverCPU, name, "s/s", is.cpu, than.cpu)
	c.Add(serverRSS, name, "MB", is.rss, than.rss)
	c.Add(serverUpload, name, "kbit/s", is.upload, than.upload)
}

// measureGreeting measures the least that a join needs, and that a splice needs.
func (c *chainRound) measureGreeting(ctx context.Context) error {
	greeted, err := c.greet(ctx, c.nodes, c.chunk, false)
	if err != nil {
		return err
	}
	c.Add(joining, greeting, "s", c.conga.join.Seconds(), greeted.All.Seconds())
	if len(c.conga.splices) > 0 {
		c.Add(splicing, greeting, "ms", percentile(c.conga.splices, 50), percentile(greeted.Each, 50))
	}
	return nil
}

// greet lets so many clients be greeted with a message of that size.
func (b *bench) greet(ctx context.Context, n, size int, atOnce bool) (greeted Times, err error) {
	server, err := b.worker(ctx)
	if err != nil {
		return greeted, err
	}
	defer server.kill()
	clients, err := b.worker(ctx)
	if err != nil {
		return greeted, err
	}
	defer clients.kill()
	var addr string
	if err := server.call(ctx, "StartGreeter", size, &addr); err != nil {
		return greeted, err
	}
	return greeted, clients.call(ctx, "Greet", GreetArgs{Addr: addr, Nodes: n, Size: size, AtOnce: atOnce}, &greeted)
}

// songIn returns the bytes of a song.
func songIn(folder string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.mp3"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there is no .mp3 in %s", folder)
	}
	return os.ReadFile(files[0])
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
