// Package catalog knows which songs can be requested: those that lie in the songs
// folder right now. It opens them, too.
//
// The folder is watched, and looked at every few seconds in any case, for not every
// file system tells of changes. A song that is dropped in is there within a second
// of its last byte, one that is taken out is gone; a file that somebody still writes
// is left alone until it rests. Only what lies right in the folder counts,
// subfolders do not; links are followed; names that begin with a dot are not seen.
//
// What looks like a song and cannot be played (no MPEG-1 layer III, empty, broken, a
// name that breaks lines) is left out with one warning for each process and reason.
// A folder that is missing, or taken away and put back, is waited for.
//
// Looking happens on a goroutine of its own, one look at a time: the actor always
// answers. Whatever it knows stands in the log BEFORE it answers with it.
package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/actors/eventlog"
	"conga/messages"
)

// Name is the catalog's name in the log.
const Name = "catalog"

// Config is what a catalog needs. Dir and Log must be set.
type Config struct {
	Dir    string // the songs folder; it need not exist yet
	Log    *eventlog.Log
	Logger *slog.Logger // nil: slog.Default()

	// Poll is the longest time between two looks, for file systems that tell nothing.
	Poll time.Duration // 0: 5 s
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
	keeper *eventlog.Keeper[State]
	tell   func(message any) // sends to the actor itself, from any goroutine
	ctx    context.Context   // ends with the actor
	cancel context.CancelFunc
	folder *watch

	timer      *time.Timer // nil: no look is agreed
	due        time.Time   // when timer fires
	generation uint64      // of timer; older ones are ignored
	looking    bool
	again      bool // something changed while it was looking
	seen       map[string]file

	live   live
	warned map[string]string // reasons by name
}

// live is what the dump shows beside the state.
type live struct {
	Folder  string `json:"folder"`
	Watched bool   `json:"watched"` // else it is only looked at from time to time
	Looks   uint64 `json:"looks"`
	Copied  int    `json:"beingCopied"` // files that somebody still writes
	Unread  int    `json:"unread"`      // files that wait for the next look
	Problem string `json:"problem"`     // with the folder as a whole
}

// Words that the actor says to itself. by is who says them: a new catalog, after a
// restart, does not listen to its forerunner's goroutines.
type (
	changed struct{ by *catalog }
	wake    struct {
		by         *catalog
		generation uint64
	}
	looked struct {
		by      *catalog
		saw     sighting
		watched bool
	}
)

// IgnoreDeadLetterLogging: what comes when the actor has stopped is not worth a line.
func (changed) IgnoreDeadLetterLogging() {}
func (wake) IgnoreDeadLetterLogging()    {}
func (looked) IgnoreDeadLetterLogging()  {}

// Receive is all the plumbing; what a report changes is in state.go, what a look
// sees in look.go.
func (c *catalog) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started: // also after a restart: a new catalog remembers nothing
		c.start(ctx)
	case *actor.Stopping, *actor.Restarting:
		c.stop()
	case changed:
		if msg.by == c {
			c.folder.heard()
			c.lookIn(c.cfg.Settle)
		}
	case wake:
		if msg.by == c && msg.generation == c.generation {
			c.look()
		}
	case looked:
		if msg.by == c {
			c.learn(msg)
		}
	case *messages.ListSongs:
		ctx.Respond(&messages.List{Names: c.keeper.State().Names()})
	case *messages.FindSong:
		ctx.Respond(&messages.FoundSong{Song: c.keeper.State().Find(msg.Name)})
	case *messages.Look:
		state, seq := c.keeper.Moment()
		msg.Reply <- messages.View{Actor: Name, Seq: seq, State: state, Live: c.live}
	}
}

func (c *catalog) start(ctx actor.Context) {
	keeper, err := eventlog.NewKeeper(c.cfg.Log, Name, State{})
	if err != nil {
		panic(fmt.Errorf("catalog: read the log: %w", err))
	}
	root, self := ctx.ActorSystem().Root, ctx.Self()
	c.tell = func(message any) { root.Send(self, message) }
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.keeper = keeper
	c.seen = remembered(keeper.State())
	c.warned = make(map[string]string)
	c.live.Folder = c.cfg.Dir
	c.folder = newWatch(c.cfg.Dir, func() { c.tell(changed{c}) })
	c.look()
}

func (c *catalog) stop() {
	if c.cancel == nil { // it never started
		return
	}
	c.cancel()
	c.folder.close()
	if c.timer != nil {
		c.timer.Stop()
	}
}

// lookIn has the next look begin after d, or earlier if that was agreed before.
func (c *catalog) lookIn(d time.Duration) {
	due := time.Now().Add(d)
	switch {
	case c.looking: // learn will see to it
		c.again = true
		return
	case c.timer != nil && c.due.Before(due):
		return
	case c.timer != nil:
		c.timer.Stop()
	}
	c.generation++
	word, tell := wake{c, c.generation}, c.tell
	c.due = due
	c.timer = time.AfterFunc(d, func() { tell(word) })
}

// look sends a goroutine to look, which comes back with a looked.
func (c *catalog) look() {
	c.timer, c.looking, c.again = nil, true, false
	ctx, cfg, seen, folder, tell := c.ctx, c.cfg, c.seen, c.folder, c.tell
	go func() {
		watched := folder.keep() // BEFORE looking: what changes after the look is then heard of
		saw := look(ctx, cfg.Dir, seen, cfg.Settle, time.Now())
		if ctx.Err() == nil {
			tell(looked{c, saw, watched})
		}
	}()
}

// learn commits what a look has seen, says what the operator must know, and agrees
// on the next look.
func (c *catalog) learn(msg looked) {
	saw := msg.saw
	c.looking, c.seen = false, saw.files
	if saw.err == nil || saw.gone {
		events, err := c.keeper.Commit(saw.report())
		if err != nil {
			panic(fmt.Errorf("catalog: %w", err))
		}
		if len(events) > 0 {
			c.cfg.Logger.Info("the songs folder has changed", "folder", c.cfg.Dir, "songs", len(c.keeper.State().Songs))
		}
	}
	c.warn()
	c.sayProblem(saw)
	c.live.Watched, c.live.Copied, c.live.Unread = msg.watched, saw.copied, saw.unread
	c.live.Looks++

	switch {
	case saw.unread > 0:
		c.lookIn(0)
	case saw.copied > 0 || c.again:
		c.lookIn(min(c.cfg.Settle, c.cfg.Poll))
	default:
		c.lookIn(c.cfg.Poll)
	}
}

// warn names each file that is left out, once for each reason.
func (c *catalog) warn() {
	warned := make(map[string]string)
	for _, refused := range c.keeper.State().Rejected {
		warned[refused.Name] = refused.Reason
		if c.warned[refused.Name] != refused.Reason {
			c.cfg.Logger.Warn("file left out", "file", refused.Name, "reason", refused.Reason)
		}
	}
	c.warned = warned // a file that was taken away and comes back is warned of again
}

// sayProblem says what is wrong with the folder as a whole, once, and when it is over.
func (c *catalog) sayProblem(saw sighting) {
	problem := ""
	switch {
	case saw.err != nil:
		problem = "the songs folder cannot be read: " + cause(saw.err) + "; waiting for it"
	case len(c.keeper.State().Songs) == 0 && saw.copied+saw.unread > 0:
		return // not known yet
	case len(c.keeper.State().Songs) == 0:
		problem = "no songs in the songs folder; waiting for .mp3 files (MPEG-1 layer III) to be put there"
	}
	if problem == c.live.Problem {
		return
	}
	switch {
	case problem == "":
		c.cfg.Logger.Info("the songs folder has songs again", "folder", c.cfg.Dir)
	case saw.err != nil:
		c.cfg.Logger.Error(problem, "folder", c.cfg.Dir)
	default:
		c.cfg.Logger.Warn(problem, "folder", c.cfg.Dir)
	}
	c.live.Problem = problem
}
