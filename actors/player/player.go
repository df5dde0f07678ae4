package player

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// Source gives the items of the broadcast in the order of their numbers, holes allowed;
// *window.Cursor is one. Next waits for the next item; an error means that this source has
// no more. Items are shared and never changed.
type Source interface {
	Next(ctx context.Context) (*messages.Item, error)
}

// Preroll is how long before now a source from Config.Open should begin, so that the first
// chunk that is heard has its bit reservoir.
const Preroll = 300 * time.Millisecond

// Actor is the actor's name among its siblings, in the log and in the dump.
const Actor = "player"

// Config configures a player. Open, Now and Output must be set.
type Config struct {
	// Open returns a source that begins about Preroll before now. It is called again when
	// the source has failed.
	Open func() Source
	// Now returns the server's clock as this node knows it, in unix µs. It is called from
	// several goroutines and must not block.
	Now func() int64
	// ClockError is how wrong Now probably is; nil: not at all. It must not block.
	ClockError func() time.Duration
	// Output is used by one player only. A restarted player uses it again.
	Output Output
	// Samples returns a chunk's samples, left and right, if chunks are not mp3; nil: they are mp3.
	Samples func(*messages.Item) []int16
	// AsItIs ignores ReplayGain tags. A recording ignores them anyway.
	AsItIs bool
	// Offsets knows how much later than each device says its sound is heard; nil: no device has an offset. A
	// recording, and an output none, have no offset.
	Offsets Offsets
	// Report takes the facts for the listener's log: PlayerUnderran, SongHeard,
	// PlayerFellSilent, PlayerHeardAgain, PlayerStepped, PlayerOutOfTime. It may block; then facts beyond 64 are dropped. May be nil.
	Report func(proto.Message)
	// Unheard is told why there is no sound and what to do, once until there is sound again; nil: Log gets a
	// warning. It must not block.
	Unheard func(reason string)
	// Turned is called with each song when its first chunk is heard. It may block; then songs beyond 64 are
	// dropped. May be nil.
	Turned func(*messages.SongChange)
	// Log gets what the user should know; nil: slog.Default.
	Log *slog.Logger

	decoder newDecoder       // goMP3, except in tests
	beats   <-chan time.Time // for the heart; nil: a ticker's, except in tests
}

// failure is a panic in one of the engine's goroutines.
type failure struct {
	engine *engine
	reason string
}

// Props describes the player's actor. It plays from Started until it stops, answers Look, takes SetGain and
// ChangeOffset, and panics when one of its goroutines has panicked: supervision restarts it, with backoff.
func Props(cfg Config) *actor.Props {
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	if cfg.Report == nil {
		cfg.Report = func(proto.Message) {}
	}
	if cfg.decoder == nil {
		cfg.decoder = goMP3
	}
	before := &Live{} // the counters outlive a restart
	gain := 1.0       // and so does the volume
	return actor.PropsFromProducer(func() actor.Actor { return &player{cfg: cfg, before: before, gain: &gain} })
}

type player struct {
	cfg    Config
	engine *engine
	before *Live    // what earlier engines counted
	gain   *float64 // see SetGain
}

// Receive is all the plumbing; the engine plays.
func (p *player) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		p.start(ctx.ActorSystem().Root, ctx.Self())
	case *actor.Stopping, *actor.Restarting:
		p.engine.stop()
		*p.before = p.engine.deck.live().with(*p.before)
	case failure:
		if msg.engine == p.engine {
			panic(msg.reason)
		}
	case *messages.SetGain:
		*p.gain = msg.Gain
		p.engine.deck.setGain(msg.Gain)
	case *messages.ChangeOffset:
		msg.Reply <- p.engine.changeOffset(msg.Change)
	case *messages.Look:
		p.look(msg)
	case messages.Look:
		p.look(&msg)
	}
}

func (p *player) start(root *actor.RootContext, self *actor.PID) {
	born := make(chan *engine, 1) // the engine may fail before start returns
	p.engine = start(p.cfg, func(reason string) {
		engine := <-born
		root.Send(self, failure{engine, reason})
	})
	p.engine.deck.setGain(*p.gain)
	born <- p.engine
}

func (p *player) look(look *messages.Look) {
	live := p.engine.deck.live().with(*p.before)
	if w, is := p.cfg.Output.(*wav); is {
		live.Recording = w.became.incomplete()
	}
	look.Reply <- messages.View{Actor: Actor, Live: live}
}
