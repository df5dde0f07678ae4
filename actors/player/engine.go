package player

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

const (
	// maxReceived items wait for the decoder: more than a window holds in bytes.
	maxReceived = 512
	// slowAfter is how long an item may wait before the decoder is to blame for a silence.
	slowAfter = 100 * time.Millisecond
	tooSlow   = "the decoder was too slow"
	// reopenAfter is the pause before a source is opened again, in case it fails at once.
	reopenAfter = 50 * time.Millisecond
	maxFacts    = 64
	// retryFirst and retryMost are the pauses between two tries to open an absent device, because each starts a process.
	retryFirst, retryMost = time.Second, 15 * time.Second
)

// engine is the player's goroutines. It lives from start until stop.
type engine struct {
	cfg      Config
	deck     *deck
	items    chan arrival // for the decoder; nil: there is none
	facts    chan proto.Message
	turns    chan *messages.SongChange // to Config.Turned; nil: it is not set
	since    atomic.Int64              // when the item that is being decoded arrived, local ns since birth; 0: none
	birth    time.Time
	heart    heart
	panicked sync.Once // a decoder's panic is reported once
	failed   func(reason string)
	fallen   sync.Once // only the first failure counts
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

type arrival struct {
	item *messages.Item
	at   time.Time
}

// start begins to play. failed is called at most once, when a goroutine panicked.
func start(cfg Config, failed func(reason string)) *engine {
	if cfg.Offsets == nil {
		cfg.Offsets = noOffsets{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &engine{cfg: cfg, failed: failed, cancel: cancel, birth: time.Now(), facts: make(chan proto.Message, maxFacts)}
	e.deck = newDeck(cfg.Now, e.fact, e.cause)
	e.deck.clockError = cfg.ClockError
	_, e.deck.keeps = cfg.Output.(*wav)
	var works []func(context.Context)
	if _, unheard := cfg.Output.(none); unheard {
		works = append(works, e.keepBooks)
	} else {
		e.items = make(chan arrival, maxReceived)
		works = append(works, e.readItems, deliver(e.facts, e.cfg.Report), e.beat, e.decode, e.output)
	}
	if cfg.Turned != nil {
		e.turns = make(chan *messages.SongChange, maxFacts)
		e.deck.turned = e.turn
		works = append(works, deliver(e.turns, e.cfg.Turned))
	}
	for _, work := range works {
		e.wg.Go(func() {
			defer e.guard()
			work(ctx)
		})
	}
	return e
}

// stop ends all goroutines and waits for them. Then the output is closed, and all facts are reported.
func (e *engine) stop() {
	e.cancel()
	e.wg.Wait()
	e.deck.end()
	for {
		select {
		case fact := <-e.facts:
			e.cfg.Report(fact)
		default:
			return
		}
	}
}

// guard turns a panic of the goroutine that defers it into a failure of the player.
func (e *engine) guard() {
	if p := recover(); p != nil {
		e.fail(fmt.Sprintf("%v\n%s", p, debug.Stack()))
	}
}

func (e *engine) fail(reason string) { e.fallen.Do(func() { e.failed(reason) }) }

// readItems reads for the decoder.
func (e *engine) readItems(ctx context.Context) {
	next := func(ctx context.Context, source Source) (*messages.Item, error) { return source.Next(ctx) }
	e.read(ctx, next, func(item *messages.Item) {
		select {
		case e.items <- arrival{item, time.Now()}:
		case <-ctx.Done():
		}
	})
}

// read takes items from the source as soon as they are there.
func (e *engine) read(ctx context.Context, next func(context.Context, Source) (*messages.Item, error), take func(*messages.Item)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		source := e.cfg.Open()
		for {
			item, err := next(ctx, source)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				break // it fell out, or the window was closed
			}
			if item == nil {
				continue
			}
			e.deck.received(item)
			take(item)
		}
		e.deck.count(func(l *Live) { l.Reopened++ })
		timer.Reset(reopenAfter)
	}
}

// decode keeps the deck filled.
func (e *engine) decode(ctx context.Context) {
	_, records := e.cfg.Output.(*wav)
	d := decoder{make: e.cfg.decoder, samples: e.cfg.Samples, levels: !e.cfg.AsItIs && !records}
	var next uint64
	for {
		var in arrival
		select {
		case in = <-e.items:
		case <-ctx.Done():
			return
		}
		for !e.deck.hungry() {
			select {
			case <-e.deck.space:
			case <-ctx.Done():
				return
			}
		}
		e.since.Store(max(1, int64(in.at.Sub(e.birth))))
		next = e.follow(next, in.item)
		chunk, err := d.decode(in.item, e.cfg.Now())
		if err != nil {
			e.deck.count(func(l *Live) { l.DecodeErrors++ })
		}
		if errors.Is(err, errPanicked) {
			e.panicked.Do(func() {
				e.say(slog.LevelWarn, "the mp3 decoder failed on a frame: silence replaces it, the music goes on", "error", err)
			})
		}
		if chunk != nil {
			e.deck.push(chunk)
		}
		e.since.Store(0)
	}
}

// follow counts a hole before the item and returns the number that follows it.
func (e *engine) follow(next uint64, item *messages.Item) uint64 {
	if next != 0 && item.Number > next {
		e.deck.count(func(l *Live) { l.Holes++ })
	}
	return item.Number + 1
}

// output plays. While the output cannot play, the music goes on without sound.
func (e *engine) output(ctx context.Context) {
	out := e.cfg.Output
	device, returns := out.(Device)
	_, records := out.(*wav)
	for pause := time.Duration(0); ctx.Err() == nil; pause = retryFirst {
		if returns {
			out = e.await(ctx, device, pause)
		}
		if records {
			e.deck.connect(out.Name(), out.Latency(), returns, "", 0)
		} else {
			e.deck.connect(out.Name(), out.Latency(), returns, out.Name(), e.offsetOf(out.Name()))
		}
		err := out.Run(ctx, &hearing{Feed: e, heard: e.heard})
		if err == nil {
			continue
		}
		e.unheard(err)
		if !returns {
			e.playToNobody(ctx)
		}
	}
}

func (e *engine) playToNobody(ctx context.Context) {
	e.deck.connect(null{}.Name(), 0, false, "", 0)
	_ = null{}.Run(ctx, e) // it has no errors
}

// await plays without sound until the device is open, which it tries after each pause.
func (e *engine) await(ctx context.Context, device Device, pause time.Duration) Output {
	silent, opened := context.WithCancel(ctx)
	var out Output = null{}
	var opening sync.WaitGroup
	opening.Go(func() {
		defer e.guard()
		defer opened()
		out = e.open(ctx, device, pause)
	})
	e.playToNobody(silent)
	opening.Wait()
	return out
}

// open tries until the device is open or ctx ends.
func (e *engine) open(ctx context.Context, device Device, pause time.Duration) Output {
	for ; ; pause = min(max(retryFirst, 2*pause), retryMost) {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return null{}
		}
		out, err := device.Open(ctx)
		switch {
		case err == nil:
			return out
		case ctx.Err() != nil:
			return null{}
		}
		e.unheard(err)
	}
}

// unheard reports why there is no sound, once until there is sound again.
func (e *engine) unheard(err error) {
	if e.deck.mute(err.Error()) != "" {
		return
	}
	if e.cfg.Unheard != nil {
		e.cfg.Unheard(err.Error())
	} else {
		e.say(slog.LevelWarn, err.Error())
	}
	e.fact(&messages.PlayerFellSilent{Reason: err.Error()})
}

// heard reports that there is sound again.
func (e *engine) heard() {
	if e.deck.unmute() == "" {
		return
	}
	e.say(slog.LevelInfo, "the music is heard again")
	e.fact(&messages.PlayerHeardAgain{})
}

// hearing notices when an output has played for a second, because a device that was opened may still take nothing.
type hearing struct {
	Feed
	heard  func()
	frames int // filled; -1: it has played
}

func (h *hearing) Fill(p []byte, waiting int) {
	h.Feed.Fill(p, waiting)
	if h.frames < 0 {
		return
	}
	if h.frames += len(p) / bytesPerFrame; h.frames-waiting > outputRate {
		h.frames = -1
		h.heard()
	}
}

// Fill is called by the output, on a goroutine that may be a library's: a panic ends here.
func (e *engine) Fill(p []byte, waiting int) {
	defer func() {
		if r := recover(); r != nil {
			clear(p)
			e.fail(fmt.Sprintf("%v\n%s", r, debug.Stack()))
		}
	}()
	e.deck.fill(p, waiting)
}

// Say is called by the output.
func (e *engine) Say(trouble string) { e.say(slog.LevelWarn, trouble) }

func (e *engine) say(level slog.Level, text string, args ...any) {
	e.cfg.Log.Log(context.Background(), level, text, args...)
}

// fact queues a fact for Config.Report. It never blocks: the deck calls it.
func (e *engine) fact(fact proto.Message) {
	if out, is := fact.(*messages.PlayerOutOfTime); is {
		e.say(slog.LevelWarn, out.GetReason())
	}
	select {
	case e.facts <- fact:
	default:
	}
}

// turn queues a song for Config.Turned. It never blocks: the deck calls it.
func (e *engine) turn(song *messages.SongChange) {
	select {
	case e.turns <- song:
	default:
	}
}

// deliver calls `to` with everything that comes, one after the other, until the engine stops.
func deliver[T any](from <-chan T, to func(T)) func(context.Context) {
	return func(ctx context.Context) {
		for {
			select {
			case one := <-from:
				to(one)
			case <-ctx.Done():
				return
			}
		}
	}
}
