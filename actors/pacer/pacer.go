// Package pacer sends the music at the speed of the music: whole mp3 frames, numbered,
// each chunk so long before it is to be heard as its song says (messages.SlackAt).
//
// The schedule is absolute. A chunk's time follows from its song's start and its first
// frame, never from when the previous chunk was sent, so the broadcast does not drift, and
// a late timer is made up for at once. The broadcast also runs without listeners. A
// restarted server continues where the clock says, with the same numbers for the same chunks.
//
// Files are read a minute ahead, outside the actor: nobody hears it when a disk sleeps or hangs in the
// middle of a song. If it does not answer for longer, the song is given up, not the broadcast.
//
// The log knows when songs start and end. The music itself goes only into the window,
// from which each connection reads at its own pace; nobody holds up the pacer.
package pacer

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"conga/actors/eventlog"
	"conga/actors/internal/seal"
	"conga/actors/pacer/place"
	"conga/actors/window"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

const (
	// headStart is how soon the first song is heard. That is time enough for its first chunks to
	// reach the end of a chain that exists already.
	headStart = 300 * time.Millisecond
	// askAgain is how long the pacer waits for a song, or for an answer that a
	// restarting actor lost.
	askAgain = 500 * time.Millisecond
)

// Actor is the actor's name among its siblings, in the log and in the dump.
const Actor = "pacer"

// Config is what a pacer needs.
type Config struct {
	Log       *eventlog.Log
	Window    *window.Window
	Scheduler func() *actor.PID  // is asked *messages.ChooseSong
	Catalog   func() *actor.PID  // is asked *messages.FindSong
	Open      Opener             // if the file was converted, madeOf and madeSum say what is opened instead; else they are empty
	Key       ed25519.PrivateKey // signs the broadcast
	Publish   func(proto.Message)
	Placed    func(place.State)            // gets the state before anything of it is given out; may be nil
	Sent      func() (bytes, chunks int64) // by the stream connections so far
	Now       func() time.Time             // the server's clock, which never steps
	// Leads reports whether this server may give out music at this moment; nil: it always may. Once it may not, nothing more
	// is given out or decided until it may again.
	Leads func() bool
	// ChainTakes returns how much later than it was sent the music reaches the last listener, and who that is; nil: not known.
	ChainTakes func() (time.Duration, string)
	Logger     *slog.Logger
}

// File is an open song. Its size and time tell whether it is still the same file.
type File struct {
	io.ReadCloser
	Bytes      int64
	ModifiedUs int64 // unix microseconds
}

// Props describes the pacer's actor. It answers a *messages.Look with a messages.View.
func Props(cfg Config) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return &pacer{cfg: cfg} })
}

// Live is the pacer's part of the dump that is not in the log.
type Live struct {
	Next       uint64             `json:"next"`       // number of the next item
	SlackMs    int64              `json:"slackMs"`    // how long before it is heard the newest music was sent; 0: none was
	BytesSent  int64              `json:"bytesSent"`  // on all stream connections
	ChunksSent int64              `json:"chunksSent"` // on all stream connections
	Songs      []messages.SongSum `json:"songs"`
}

type pacer struct {
	cfg   Config
	keep  *eventlog.Keeper[place.State]
	root  *actor.RootContext
	self  *actor.PID
	again []place.Started  // after a restart: songs of the last seconds, still to be cut anew
	reel  *reel            // the song that is on
	ready []*messages.Item // cut and sealed, not yet due
	songs []messages.SongSum
	timer *time.Timer
	round uint64 // numbers the timers, so that the message of an old one is ignored

	// catchingUp: the server was down; songs begin when they would have begun.
	catchingUp bool
	chosen     *messages.SongChosen // the catalog is asked for it
	failed     bool                 // the last song could not be played

	opening *opening  // of the next song; nil: none
	calls   int       // to the disk, not yet returned
	starved time.Time // since when the next items are missing
}

type wake struct{ round uint64 }

// IgnoreDeadLetterLogging: a wake that comes when the actor has stopped is not worth a line in the log.
func (wake) IgnoreDeadLetterLogging() {}

// Receive is all the plumbing; where the broadcast is, is decided in place.
func (p *pacer) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started: // also after a restart: the window still has what was given out
		keep, err := eventlog.NewKeeper(p.cfg.Log, Actor, place.State{})
		if err != nil {
			panic(fmt.Errorf("rebuild the pacer: %w", err))
		}
		p.keep, p.root, p.self = keep, ctx.ActorSystem().Root, ctx.Self()
		p.placed()
		p.resume()
		p.run(ctx)
	case *actor.Stopping:
		p.close()
		p.stop()
	case *actor.Restarting:
		p.stop()
	case wake:
		if msg.round == p.round {
			p.run(ctx)
		}
	case *messages.SongChosen:
		if p.reel == nil && p.opening == nil {
			p.chosen = msg
			ctx.Request(p.cfg.Catalog(), &messages.FindSong{Name: msg.GetSong()})
		}
	case *messages.NoSong:
		p.catchingUp = false // the next song begins when it is chosen
	case *messages.FoundSong:
		chosen := p.chosen
		if chosen != nil && (msg.Song == nil || msg.Song.GetName() == chosen.GetSong()) { // not a late answer
			p.chosen = nil
			p.start(chosen, msg.Song)
			p.run(ctx)
		}
	case opened, read:
		if p.came(msg) {
			p.run(ctx)
		}
	case *messages.SkipDecided:
		if err := p.keep.CatchUp(); err != nil {
			panic(fmt.Errorf("skip: %w", err))
		}
		p.run(ctx)
	case *messages.Look:
		msg.Reply <- p.view()
	}
}

// close says in the log until where music was given out. If that fails, it is as after a crash: the log does not say.
func (p *pacer) close() {
	if p.keep == nil || p.cfg.Window.Next() == 0 {
		return
	}
	if _, err := p.keep.Commit(&messages.CloseBroadcast{Next: p.cfg.Window.Next()}); err != nil {
		p.cfg.Logger.Warn("the log does not say where the broadcast was stopped", "reason", err)
	}
}

func (p *pacer) stop() {
	p.round++
	if p.timer != nil {
		p.timer.Stop()
	}
	p.drop()
}

// run sends all items that are due and sleeps until the next one is.
func (p *pacer) run(ctx actor.Context) {
	for {
		switch {
		case !p.leads():
			p.sleep(askAgain)
			return
		case len(p.ready) > 0:
			if wait := due(p.ready[0]).Sub(p.cfg.Now()); wait > 0 {
				p.sleep(wait)
				return
			}
			p.give()
		case p.reel == nil && p.opening == nil:
			p.ask(ctx)
			return
		default:
			if wait := p.refill(); wait > 0 {
				p.sleep(wait)
				return
			}
		}
	}
}

// leads is asked before anything is given out.
func (p *pacer) leads() bool { return p.cfg.Leads == nil || p.cfg.Leads() }

func (p *pacer) sleep(wait time.Duration) {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.round++
	root, self, round := p.root, p.self, p.round
	p.timer = time.AfterFunc(wait, func() { root.Send(self, wake{round}) })
}

// give puts the items that are due into the window, all at once: after a pause they are many. It leaves out those that
// have been there since before a restart, and those that are too old for anybody to need them.
func (p *pacer) give() {
	now, next := p.cfg.Now(), p.cfg.Window.Next()
	var items []*messages.Item
	for len(p.ready) > 0 && !due(p.ready[0]).After(now) {
		item := p.ready[0]
		p.ready = p.ready[1:]
		switch {
		case item.Number < next:
		case due(item).Before(now.Add(-messages.Window)):
			p.reel.tooLate(item)
		default:
			items = append(items, item)
		}
	}
	if err := p.cfg.Window.Append(items...); err != nil {
		panic(fmt.Errorf("give out: %w", err)) // the numbers are ours: this is a bug
	}
}

func (p *pacer) seal(items []*messages.Item) {
	seal.Sign(p.cfg.Key, p.keep.State().Epoch, p.reel.change, items)
	p.ready = items
}

// ask asks for the next song, and asks again if no answer comes. After a song that could
// not be played it first waits, so that a folder of broken files causes no busy loop.
func (p *pacer) ask(ctx actor.Context) {
	if p.failed {
		p.failed = false
		p.sleep(askAgain)
		return
	}
	ctx.Request(p.cfg.Scheduler(), &messages.ChooseSong{Seed: rand.Uint64(), AtUnixUs: p.cfg.Now().UnixMicro()})
	p.sleep(askAgain)
}

// start opens the chosen song and, when its first seconds are there, fixes its place in the broadcast.
func (p *pacer) start(chosen *messages.SongChosen, song *messages.Song) {
	switch {
	case song == nil:
		p.giveUp(chosen.GetSong(), errors.New("the file is gone"))
		return
	case song.GetForm() == messages.Song_FORM_OTHER: // its converted file has gone since it was chosen
		p.giveUp(chosen.GetSong(), errors.New("it must be converted first"))
		return
	}
	file := wanted{name: song.GetName(), bytes: song.GetFileBytes(), modifiedUs: song.GetModifiedUnixUs(), madeOf: song.GetMadeOf(), madeSum: song.GetMadeSum()}
	p.open(file, messages.FramesPerChunk(song.GetSampleRate()), song.GetFrames(), func(c *cutter, first group, err error) {
		if err != nil {
			p.giveUp(song.GetName(), err)
			return
		}
		takes, last := p.cfg.chainTakes()
		p.commit(&messages.StartSong{Song: song, PlayAtUnixUs: p.earliest(chosen), ChainTakesUs: takes.Microseconds()})
		p.tellSlack(takes, last)
		on := p.keep.State().Song
		p.catchingUp = p.catchingUp && p.over(on)
		if err := p.load(*on, c, first); err != nil {
			p.giveUp(on.Name, err)
		}
	})
}

// errSkipped: the song was voted off, or the host skipped it.
var errSkipped = errors.New("it was skipped")

// skipped says whether the song on the reel is to end here. Sealed items are still given out, because listeners have
// their seal: a second and a half at most. So are items that were given out before a restart, because listeners may
// have them.
func (p *pacer) skipped() bool {
	r, on := p.reel, p.keep.State().Song
	return r.begun && on != nil && on.Skipped && on.Number == r.song.Number &&
		on.Due(r.frame) > p.cfg.Now().UnixMicro()
}

// over says whether all of the song should have left the server.
func (p *pacer) over(song *place.Started) bool {
	return song.Due(song.Frames) <= p.cfg.Now().UnixMicro()
}

// earliest returns when the next song may begin. 0 lets it begin in the past, at the end of the
// previous song, because that is when it was due while the server was down. A song chosen at
// random never begins in the past: nobody waits for it.
func (p *pacer) earliest(chosen *messages.SongChosen) int64 {
	now, next := p.cfg.Now(), p.keep.State().NextPlayAt
	missed := next > now.Add(-messages.Window).UnixMicro()
	if p.catchingUp && !p.ahead(next) && (missed || chosen.GetRequestId() != "") {
		return 0
	}
	return now.Add(headStart).UnixMicro()
}

// ahead reports whether the time, in microseconds, is so far in the future that the clock must
// have been set back.
func (p *pacer) ahead(playAt int64) bool {
	return p.keep.State().Ahead(playAt, p.cfg.Now().UnixMicro())
}

func (p *pacer) giveUp(song string, err error) {
	p.failed = true
	p.cfg.Logger.Warn("song cannot be played", "song", song, "reason", err)
	p.commit(&messages.EndSong{Song: song, Reason: err.Error()})
	p.lookAgain()
}

// load puts the song on the reel.
func (p *pacer) load(song place.Started, c *cutter, first group) error {
	reel, err := newReel(song, c, first)
	if err != nil {
		_ = c.file.Close()
		return err
	}
	p.reel = reel
	p.askDisk()
	return nil
}

// end closes the reel; why is io.EOF if the song was played whole.
func (p *pacer) end(why error) {
	r := p.reel
	p.drop()
	p.songs = append(p.songs, r.given())
	p.songs = p.songs[max(0, len(p.songs)-messages.MaxSongSums):]
	if len(p.again) > 0 { // the end of this one is already in the log
		p.again = p.again[1:]
		p.next()
		return
	}
	reason := ""
	if errors.Is(why, errSkipped) {
		reason = why.Error()
		p.cfg.Logger.Info("song skipped", "song", r.song.Name)
	} else if !errors.Is(why, io.EOF) {
		reason = why.Error()
		p.failed = r.frame == 0
		p.cfg.Logger.Warn("song broke off", "song", r.song.Name, "reason", why)
	}
	p.commit(&messages.EndSong{Song: r.song.Name, Chunks: r.chunks(), Frames: r.frame, Reason: reason, Sum: r.given().SHA256, Late: min(r.late, r.frame)})
}

// resume begins with the songs of the last seconds, so that listeners that lack chunks find
// them, and continues with the song that was playing.
func (p *pacer) resume() {
	state := p.keep.State()
	p.catchingUp = state.Song == nil && state.NextPlayAt > 0 || state.Song != nil && p.over(state.Song)
	horizon := p.cfg.Now().Add(-messages.Window).UnixMicro()
	for _, song := range state.Recent {
		if ended := song.Until(song.Played); ended >= horizon && !p.ahead(ended) {
			p.again = append(p.again, song)
		}
	}
	p.next()
}

// next loads the next song to be cut again, and after those the one that was playing.
func (p *pacer) next() {
	if len(p.again) > 0 {
		song := p.again[0]
		p.open(fileOf(song), song.PerChunk, song.Played, func(c *cutter, first group, err error) {
			if err == nil {
				err = p.load(song, c, first)
			}
			if err != nil {
				p.again = p.again[1:] // the window cannot have these chunks any more
				p.next()
			}
		})
		return
	}
	on := p.keep.State().Song
	if on == nil {
		return
	}
	if p.ahead(on.PlayAt) {
		// Listeners may have any of its numbers, so none is used again.
		p.breakOff(on, on.Chunks(on.Frames), 0, errors.New("the server's clock was set back"))
		return
	}
	p.open(fileOf(*on), on.PerChunk, on.Frames, func(c *cutter, first group, err error) {
		if err == nil {
			err = p.load(*on, c, first)
		}
		if err != nil {
			// Listeners may have what was given out before the restart, and play that to its end.
			given := on.Given(p.cfg.Now().UnixMicro())
			p.breakOff(on, on.Chunks(given), given, err)
		}
	})
}

// breakOff ends the song that was on before the restart and cannot go on.
func (p *pacer) breakOff(on *place.Started, chunks uint64, frames int64, why error) {
	p.cfg.Logger.Warn("song cannot go on", "song", on.Name, "reason", why)
	p.commit(&messages.EndSong{Song: on.Name, Chunks: chunks, Frames: frames, Reason: why.Error()})
}

func (p *pacer) commit(cmd proto.Message) {
	events, err := p.keep.Commit(cmd)
	if err != nil {
		panic(err) // an actor that cannot remember must not act: the supervisor restarts it
	}
	p.placed()
	for _, event := range events {
		p.cfg.Publish(event)
	}
}

func (p *pacer) placed() {
	if p.cfg.Placed != nil {
		p.cfg.Placed(p.keep.State())
	}
}

func (p *pacer) view() messages.View {
	live := Live{Next: p.cfg.Window.Next(), Songs: append([]messages.SongSum{}, p.songs...)}
	if last := p.cfg.Window.Last(); last != nil {
		live.SlackMs = last.Slack().Milliseconds()
	}
	live.BytesSent, live.ChunksSent = p.cfg.Sent()
	return messages.View{Actor: Actor, Seq: p.keep.Seq(), State: p.keep.State(), Live: live}
}
