// Package catalog knows which songs can be requested: those that are in the songs folder now.
// It also opens them.
//
// It watches the folder, and looks at it every few seconds in any case, because not every
// file system reports changes. A song that is added can be requested within a second of
// its last byte; one that is removed is gone. A file that is still being written is left
// alone until it rests; the less it looks whole, the longer it must rest. Subfolders count,
// too: a song's name is its path. Links are followed; names that begin with a dot are ignored.
//
// Music that is not MPEG-1 layer III is converted if ffmpeg is installed. Such a song is
// known at once and can be requested. Songs that somebody waits for are converted first, outside
// the actor.
//
// A file that looks like a song but cannot be played (broken, empty, a name that breaks
// lines) is left out, with one warning for each process and reason.
// If the folder is missing, unreadable or empty, its songs are away but not gone: the
// catalog waits for it, and reads nothing again when it comes back. The same is true of a subfolder
// that cannot be read.
//
// A goroutine of its own looks at the folder, one look at a time, so that the actor always
// answers. A look reports what has changed, in few batches, so the log and the actor's time
// grow with the change. Everything that the catalog answers is in the log before.
package catalog

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"conga/actors/catalog/library"
	"conga/actors/eventlog"
	"conga/actors/internal/transcode"
	"conga/messages"
)

// Actor is the actor's name among its siblings, in the log and in the dump.
const Actor = "catalog"

// Config is what a catalog needs. Dir and Log must be set.
type Config struct {
	Dir    string // the songs folder; it need not exist yet
	Log    *eventlog.Log
	Logger *slog.Logger // nil: slog.Default()

	// Elsewhere are songs that do not lie in Dir under their names; nil: all do.
	Elsewhere *Elsewhere

	// Converted makes and keeps mp3 of other music; nil: other music is left out.
	Converted *transcode.Cache

	// Ready is called once, when the songs that were in the folder at the start are known. It may be nil.
	Ready func()

	// Poll is the longest time between two looks, for file systems that report nothing. If a look takes
	// long, the next one is later.
	Poll time.Duration // 0: 5 s
	// Unwatched: the system is not asked to report changes.
	Unwatched bool
	// Settle is how long a file must rest before it is judged, and the shortest time
	// between two looks.
	Settle time.Duration // 0: 300 ms
}

// Props makes the catalog's actor. It answers *messages.ListSongs with a
// *messages.List, whose order is the songs' numbers, *messages.FindSong with a
// *messages.FoundSong, and *messages.Look. It panics when it cannot read or write
// the log.
func Props(cfg Config) *actor.Props {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Poll <= 0 {
		cfg.Poll = 5 * time.Second
	}
	if cfg.Settle <= 0 {
		cfg.Settle = 300 * time.Millisecond
	}
	return actor.PropsFromProducer(func() actor.Actor { return &catalog{cfg: cfg} })
}

type catalog struct {
	cfg    Config
	keeper *eventlog.Keeper[library.State]
	tell   func(message any) // sends to the actor itself, from any goroutine
	ctx    context.Context   // ends with the actor
	cancel context.CancelFunc
	watch  *watch

	timer      *time.Timer // nil: no look is planned
	due        time.Time   // when timer fires
	earliest   time.Time   // for the next look, so that looking takes a tenth of the time at most
	generation uint64      // of timer; older ones are ignored
	looking    bool
	again      bool // something changed while it was looking
	seen       map[string]file
	brought    map[string]file        // during the look under way, which may have missed them
	folders    map[string]fs.FileInfo // as they were at the last look
	ready      bool                   // Ready was called
	listed     []string
	listedAt   uint64 // the event after which listed was made

	making     *making              // nil: nothing is converted
	noRoom     time.Time            // until then only requested songs are converted
	trouble    time.Time            // until then nothing is converted
	passed     map[string]time.Time // songs that are not converted until then, because they could not be read
	unmade     map[string]bool
	saidUnmade int

	live   live
	warned map[string]string // reasons by name
	lines  int               // warnings in this look
	sum    sum
	said   time.Time // when the sum was logged last
}

// live is what the dump shows beside the state.
type live struct {
	Folder  string `json:"folder"`
	Watched bool   `json:"watched"` // by the system; else it is only looked at from time to time
	Looks   uint64 `json:"looks"`
	Resting int    `json:"resting"` // files that may still be written
	Problem string `json:"problem"` // with the folder as a whole

	Converts  string `json:"converts,omitempty"`          // the song that is being converted
	Converted uint64 `json:"converted,omitempty"`         // since the start
	Trouble   string `json:"conversionTrouble,omitempty"` // why no song can be converted now
}

// Messages that the actor sends to itself. by is the actor that sent them: after a restart
// the new one ignores the goroutines of the old.
type (
	changed struct{ by *catalog }
	wake    struct {
		by         *catalog
		generation uint64
	}
	news struct { // of a look under way
		by     *catalog
		report proto.Message
		taken  chan<- struct{} // closed when it is in the log
	}
	looked struct {
		by      *catalog
		saw     sighting
		watched bool
	}
)

// IgnoreDeadLetterLogging: a message that comes when the actor has stopped is not worth a line in the log.
func (changed) IgnoreDeadLetterLogging() {}
func (wake) IgnoreDeadLetterLogging()    {}
func (news) IgnoreDeadLetterLogging()    {}
func (looked) IgnoreDeadLetterLogging()  {}

// Receive is all the plumbing; what a report changes is decided in room library, what a look
// sees in look.go.
func (c *catalog) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started: // also after a restart: a new catalog remembers nothing
		c.start(ctx)
	case *actor.Stopping, *actor.Restarting:
		c.stop()
	case changed:
		if msg.by == c {
			c.watch.heard()
			c.lookIn(c.cfg.Settle)
		}
	case wake:
		if msg.by == c && msg.generation == c.generation {
			c.look()
		}
	case news:
		if msg.by == c {
			c.commit(msg.report)
			close(msg.taken)
		}
	case looked:
		if msg.by == c {
			c.learn(msg)
		}
	case made:
		if msg.by == c && msg.making == c.making {
			c.hasMade(msg)
		}
	case *messages.WantSong:
		if err := c.keeper.CatchUp(); err != nil {
			panic(fmt.Errorf("catalog: %w", err))
		}
		c.makeNext()
	case *messages.BringSong:
		c.bring(msg)
		ctx.Respond(&messages.BringAnswer{})
	case *messages.LookAgain: // from the pacer, when it could not play a song; at most twice a second
		c.earliest = time.Time{}
		c.lookIn(0)
	case *messages.ListSongs:
		ctx.Respond(&messages.List{Names: c.names()})
	case *messages.FindSong:
		ctx.Respond(&messages.FoundSong{Song: c.keeper.State().Find(msg.Name)})
	case *messages.Look:
		state, seq := c.keeper.Moment()
		msg.Reply <- messages.View{Actor: Actor, Seq: seq, State: state, Live: c.live}
	}
}

// names lists all songs. The list is made anew only after a change.
func (c *catalog) names() []string {
	if state, seq := c.keeper.Moment(); c.listed == nil || c.listedAt != seq {
		c.listed, c.listedAt = state.Names(), seq
	}
	return c.listed
}

func (c *catalog) start(ctx actor.Context) {
	keeper, err := eventlog.NewKeeper(c.cfg.Log, Actor, library.State{})
	if err != nil {
		panic(fmt.Errorf("catalog: read the log: %w", err))
	}
	root, self := ctx.ActorSystem().Root, ctx.Self()
	c.tell = func(message any) { root.Send(self, message) }
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.keeper = keeper
	c.seen = remembered(keeper.State(), c.cfg.canConvert())
	c.warned, c.unmade, c.passed = make(map[string]string), make(map[string]bool), make(map[string]time.Time)
	c.live.Folder = c.cfg.Dir
	c.watch = &watch{}
	if !c.cfg.Unwatched {
		c.watch = newWatch(func() { c.tell(changed{c}) })
	}
	c.look()
}

func (c *catalog) stop() {
	if c.cancel == nil { // it never started
		return
	}
	c.cancel()
	c.stopMaking()
	c.watch.close()
	if c.timer != nil {
		c.timer.Stop()
	}
}

// commit logs what follows from cmd, and counts it.
func (c *catalog) commit(cmd proto.Message) {
	before := c.keeper.State()
	events, err := c.keeper.Commit(cmd)
	if err != nil {
		panic(fmt.Errorf("catalog: %w", err))
	}
	for _, event := range events {
		switch event := event.(type) {
		case *messages.SongAdded:
			song := event.GetSong()
			switch known, is := before.Songs.Find(song.GetName()); {
			case !is:
				c.sum.added++
			case !known.SameFile(song): // else it was converted, or must be
				c.sum.changed++
			}
			delete(c.warned, song.GetName())
			delete(c.unmade, song.GetName())
		case *messages.SongRemoved:
			if _, known := before.Songs.Find(event.GetName()); known {
				c.sum.removed++
			}
			delete(c.warned, event.GetName()) // if it comes back, there is a new warning
			delete(c.unmade, event.GetName())
		case *messages.SongBrought:
			c.cfg.Logger.Info("a song was brought", "song", event.GetSong(), "by", event.GetListenerName(), "bytes", event.GetBytes())
		case *messages.SongsAway:
			c.sayFolder(event)
		case *messages.SongsBack:
			if folder := event.GetFolder(); folder != "" {
				c.cfg.Logger.Info("a subfolder can be seen again, or is gone", "folder", folder)
			}
		}
	}
	switch cmd := cmd.(type) {
	case *messages.ReportSongs:
		for _, refused := range cmd.GetRejected() {
			c.warn(refused)
		}
	case *messages.MadeSong:
		if cmd.GetReason() != "" {
			c.warn(&messages.RejectedSong{Name: cmd.GetSong().GetName(), Reason: cmd.GetReason()})
		}
	}
	if time.Since(c.said) > 2*sayEvery && c.looking { // a large folder is read for minutes
		c.sayChanges()
	}
}
