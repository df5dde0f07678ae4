package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/rpc"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"conga/cmd/conga-bench/internal/baseline"
	"conga/cmd/conga-bench/internal/crowd"
	"conga/cmd/conga-bench/internal/result"
	"conga/cmd/conga-bench/internal/usage"
	"conga/cmd/internal/cli"
)

// workerCmd is a process in which something is measured. It is told what to do over its standard input, and ends with
// it. So the processor time and the memory of the process are those of what is measured, and of nothing else.
type workerCmd struct{}

// rarely is how much garbage there may be for each byte in use, in percent: a thousand listeners are a thousand processes
// where they are used. In one, a collection marks all their windows at once, and they wait for each other meanwhile.
const rarely = 400

// Run serves until the parent hangs up.
func (workerCmd) Run(ctx context.Context, _ *cli.Streams) error {
	debug.SetGCPercent(rarely)
	w := &Worker{ctx: ctx, logger: slog.New(slog.DiscardHandler)}
	server := rpc.NewServer()
	if err := server.Register(w); err != nil {
		return fmt.Errorf("offer the work: %w", err)
	}
	server.ServeConn(duplex{os.Stdin, os.Stdout})
	return w.close()
}

// duplex is a connection of two pipes.
type duplex struct {
	io.ReadCloser
	io.WriteCloser
}

func (d duplex) Close() error { return errors.Join(d.ReadCloser.Close(), d.WriteCloser.Close()) }

// Worker is what the parent can call; net/rpc wants the methods like this. They are called one after another.
type Worker struct {
	ctx    context.Context // net/rpc hands over none
	logger *slog.Logger

	crowd   *crowd.Crowd
	relays  *baseline.Relays
	fan     *baseline.Fan
	readers *baseline.Readers
	greeter *baseline.Greeter
}

// None is for calls that give or take nothing.
type None struct{}

// JoinArgs asks for listeners.
type JoinArgs struct {
	Server string
	Nodes  int
	How    crowd.How
	From   int // how many listeners of the server there are in other processes
}

// Times is how long things took.
type Times struct {
	Each []time.Duration
	All  time.Duration
}

// Join lets listeners join.
func (w *Worker) Join(args JoinArgs, reply *Times) (err error) {
	if w.crowd == nil {
		w.crowd = crowd.New(args.Server, args.From, w.logger)
	}
	reply.Each, reply.All, err = w.crowd.Join(w.ctx, args.Nodes, args.How)
	return err
}

// Heard is what was seen of the music, and what that cost this process.
type Heard struct {
	P50, P99            float64 // of a hop, in microseconds
	Hops                int
	CPU                 float64 // seconds a second
	Wire, Music, Chunks int
	Deaf                int
}

// ListenArgs says how long to listen.
type ListenArgs struct {
	For     time.Duration
	Profile string // file for a profile of the processor time; empty: none
}

// Listen listens in on the crowd for a while.
func (w *Worker) Listen(args ListenArgs, reply *Heard) error {
	if args.Profile != "" {
		file, err := os.Create(args.Profile)
		if err != nil {
			return fmt.Errorf("write a profile: %w", err)
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return errors.Join(err, file.Close())
		}
		defer func() {
			pprof.StopCPUProfile()
			_ = file.Close() // a profile that was cut off says so itself
		}()
	}
	var passage crowd.Passage
	err := w.costs(reply, func() (err error) {
		passage, err = w.crowd.Listen(w.ctx, args.For)
		return err
	})
	reply.hops(passage.Hops)
	reply.Wire, reply.Music, reply.Chunks, reply.Deaf = passage.Wire, passage.Music, passage.Chunks, passage.Deaf
	return err
}

func (h *Heard) hops(us []float64) {
	h.Hops, h.P50, h.P99 = len(us), result.Percentile(us, 50), result.Percentile(us, 99)
}

// costs measures what the work costs this process.
func (w *Worker) costs(reply *Heard, work func() error) error {
	before, err := usage.CPU(os.Getpid())
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := work(); err != nil {
		return err
	}
	took := time.Since(begin)
	after, err := usage.CPU(os.Getpid())
	reply.CPU = (after - before).Seconds() / took.Seconds()
	return err
}

// Memory says what a listener needs.
func (w *Worker) Memory(_ None, reply *usage.Memory) error {
	*reply = w.crowd.Memory()
	return nil
}

// Splice kills some listeners.
func (w *Worker) Splice(times int, reply *Times) (err error) {
	reply.Each, err = w.crowd.Splice(w.ctx, times)
	return err
}

// FirstsArgs asks for listeners that come, hear and go.
type FirstsArgs struct {
	Server string
	Times  int
	Sounds int // how many of them wait until they hear
}

// Firsts says how long they took to hear.
func (w *Worker) Firsts(args FirstsArgs, reply *[]crowd.First) (err error) {
	if w.crowd == nil {
		w.crowd = crowd.New(args.Server, 0, w.logger)
	}
	*reply, err = w.crowd.Firsts(w.ctx, args.Times, args.Sounds)
	return err
}

// CatchUpArgs describes a chain that falls behind.
type CatchUpArgs struct {
	Songs string
	Hops  int
}

// CatchUp lets a chain fall behind and catch up.
func (w *Worker) CatchUp(args CatchUpArgs, reply *crowd.Burst) (err error) {
	*reply, err = crowd.CatchUp(w.ctx, args.Songs, args.Hops, w.logger)
	return err
}

// RelaysArgs describes a chain of raw relays.
type RelaysArgs struct {
	Nodes, Size int
	Every       time.Duration
}

// StartRelays starts the chain, and says what a relay needs.
func (w *Worker) StartRelays(args RelaysArgs, reply *usage.Memory) (err error) {
	before := usage.MemoryNow()
	if w.relays, err = baseline.StartRelays(args.Nodes, args.Size, args.Every); err != nil {
		return err
	}
	time.Sleep(2 * args.Every) // its first messages are through
	*reply = usage.MemoryNow().Less(before).Each(args.Nodes)
	return nil
}

// ListenRelays listens in on the chain for a while.
func (w *Worker) ListenRelays(during time.Duration, reply *Heard) error {
	var at []map[uint64]time.Time
	err := w.costs(reply, func() error {
		w.relays.Begin()
		time.Sleep(during)
		at = w.relays.End()
		return nil
	})
	var us []float64
	for i := 1; i < len(at); i++ {
		us = append(us, crowd.Hops(at[i-1], at[i])...)
	}
	reply.hops(us)
	return err
}

// FanArgs describes a fan-out server.
type FanArgs struct {
	Music []byte
	Size  int
	Every time.Duration
}

// StartFan starts the server and says where.
func (w *Worker) StartFan(args FanArgs, addr *string) (err error) {
	if w.fan, err = baseline.StartFan(args.Music, args.Size, args.Every); err != nil {
		return err
	}
	*addr = w.fan.Addr()
	return nil
}

// FanSent says how many bytes it has sent.
func (w *Worker) FanSent(_ None, reply *int64) error {
	*reply = w.fan.Sent()
	return nil
}

// ReadersArgs describes clients that read.
type ReadersArgs struct {
	Addr  string
	Nodes int
	Hello string
}

// StartReaders connects them.
func (w *Worker) StartReaders(args ReadersArgs, _ *None) (err error) {
	w.readers, err = baseline.StartReaders(args.Addr, args.Nodes, args.Hello)
	return err
}

// ReadersRead says how many bytes all of them have got.
func (w *Worker) ReadersRead(_ None, reply *int64) error {
	*reply = w.readers.Read()
	return nil
}

// StartGreeter starts a server that greets with that many bytes, and says where.
func (w *Worker) StartGreeter(size int, addr *string) (err error) {
	if w.greeter, err = baseline.StartGreeter(make([]byte, size)); err != nil {
		return err
	}
	*addr = w.greeter.Addr()
	return nil
}

// GreetArgs asks for clients that are greeted.
type GreetArgs struct {
	Addr        string
	Nodes, Size int
	AtOnce      bool
}

// Greet lets clients be greeted.
func (w *Worker) Greet(args GreetArgs, reply *Times) (err error) {
	reply.Each, reply.All, err = baseline.Greet(args.Addr, args.Nodes, args.Size, args.AtOnce)
	return err
}

// Trouble counts how often listeners had nothing to play, and the items that they have lost.
func (w *Worker) Trouble(_ None, reply *int) (err error) {
	*reply, err = w.crowd.Trouble(w.ctx)
	return err
}

func (w *Worker) close() error {
	var errs []error
	if w.crowd != nil {
		errs = append(errs, w.crowd.Close())
	}
	if w.relays != nil {
		errs = append(errs, w.relays.Close())
	}
	if w.fan != nil {
		errs = append(errs, w.fan.Close())
	}
	if w.readers != nil {
		errs = append(errs, w.readers.Close())
	}
	if w.greeter != nil {
		errs = append(errs, w.greeter.Close())
	}
	return errors.Join(errs...)
}
