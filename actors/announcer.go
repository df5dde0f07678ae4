package actors

import (
	"fmt"
	"time"

	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/pacer/place"
	"conga/actors/scheduler/queue"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

const (
	// queueInNews bounds a line of news; REQUESTS shows the whole queue.
	queueInNews = 20
	// askQueueAgain is how long the announcer waits for the scheduler's answer: a scheduler that fails while it
	// answers does not answer when it has started again.
	askQueueAgain = 2 * time.Second
)

// announcer makes news from events: what plays and what comes next. It decides
// nothing and writes nothing. It has no scheduler's state of its own, for that is large where there are many songs.
type announcer struct {
	log   *eventlog.Log
	tell  func(*messages.Playing)
	ask   func(ctx actor.Context)              // asks for the scheduler's state, which has what the log has
	find  func(ctx actor.Context, name string) // asks for a *messages.FoundSong
	songs map[string]*messages.Song            // those in the queue, by name; nil: the catalog was asked
	on    *eventlog.Keeper[place.State]
	told  *messages.Playing // the last news; nil: none yet

	asked asking
	count uint64      // of the questions
	timer *time.Timer // of the last; nil before the first
}

// asking is how far the announcer is with what it asks the scheduler, one question at a time.
type asking int

const (
	notAsked      asking = iota
	wasAsked             // the scheduler has not answered yet
	askedTooEarly        // nor that, and something has happened since
)

// unanswered is the announcer's word to itself: the question with this number was not answered in time.
type unanswered uint64

// IgnoreDeadLetterLogging: what comes when the announcer has stopped is not worth a line.
func (unanswered) IgnoreDeadLetterLogging() {}

func announcerProps(log *eventlog.Log, ask func(actor.Context), find func(actor.Context, string), tell func(*messages.Playing)) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		return &announcer{log: log, ask: ask, find: find, tell: tell, songs: map[string]*messages.Song{}}
	})
}

// Receive tells the listeners when an event concerns what plays.
func (a *announcer) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		var err error
		if a.on, err = eventlog.NewKeeper(a.log, pacer.Actor, place.State{}); err != nil {
			panic(fmt.Errorf("open the announcer: %w", err))
		}
		a.askQueue(ctx)
	case *actor.Stopping, *actor.Restarting:
		a.stopTimer()
	case *messages.SongStarted, *messages.SongEnded, *messages.SongQueued, *messages.SongChosen, *messages.SongSkipped,
		*messages.SongCancelled, *messages.SkipVoted, *messages.SkipDecided:
		a.askQueue(ctx)
	case unanswered:
		if uint64(msg) == a.count && a.asked != notAsked {
			a.asked = notAsked
			a.askQueue(ctx)
		}
	case queue.State:
		a.stopTimer()
		before := a.asked
		a.asked = notAsked
		a.announce(ctx, msg)
		if before == askedTooEarly {
			a.askQueue(ctx)
		}
	case *messages.FoundSong:
		if song := msg.Song; song != nil && a.waits(song.GetName()) {
			a.songs[song.GetName()] = song
			a.askQueue(ctx)
		}
	}
}

// askQueue asks the scheduler, or will when it has answered.
func (a *announcer) askQueue(ctx actor.Context) {
	if a.asked != notAsked {
		a.asked = askedTooEarly
		return
	}
	a.stopTimer()
	a.asked = wasAsked
	a.count++
	root, self, word := ctx.ActorSystem().Root, ctx.Self(), unanswered(a.count)
	a.timer = time.AfterFunc(askQueueAgain, func() { root.Send(self, word) })
	a.ask(ctx)
}

func (a *announcer) stopTimer() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// waits reports whether the catalog was asked for the song and has not answered.
func (a *announcer) waits(name string) bool {
	song, is := a.songs[name]
	return is && song == nil
}

// lookUp asks for the songs that have come into the queue, and forgets those that have left it.
func (a *announcer) lookUp(ctx actor.Context, waiting []queue.Request) {
	known := a.songs
	a.songs = make(map[string]*messages.Song, len(waiting))
	for _, r := range waiting {
		song, asked := known[r.Song]
		if a.songs[r.Song] = song; !asked {
			a.find(ctx, r.Song)
		}
	}
}

func (a *announcer) announce(ctx actor.Context, state queue.State) {
	if err := a.on.CatchUp(); err != nil {
		panic(err)
	}
	waiting := state.Queue[:min(len(state.Queue), queueInNews)]
	a.lookUp(ctx, waiting)
	news := playing(state, a.on.State())
	for _, r := range waiting {
		news.Queue = append(news.Queue, &messages.Coming{Song: about(r.Song, a.songs[r.Song]), ListenerName: asker(r.Listener, true)})
	}
	if !proto.Equal(news, a.told) { // several events begin a song
		a.told = news
		a.tell(news)
	}
}

// Somebody is the name of those who ask without one, as people with nc do.
const Somebody = "somebody"

// asker returns who asked for a song; "" if nobody did.
func asker(name string, asked bool) string {
	if name == "" && asked {
		return Somebody
	}
	return name
}

// about returns what listeners are told about a song, which may be nil.
func about(name string, song *messages.Song) *messages.Song {
	return &messages.Song{Name: name, Title: song.GetTitle(), Artist: song.GetArtist(), DurationUs: song.GetDurationUs()}
}

func playing(plan queue.State, on place.State) *messages.Playing {
	news := &messages.Playing{}
	if song := on.Song; song != nil {
		news.Song = &messages.Song{
			Name: song.Name, Title: song.Title, Artist: song.Artist,
			DurationUs: song.DurationUs, SampleRate: song.SampleRate, Frames: song.Frames,
		}
		news.PlayAtUnixUs = song.PlayAt
		if on := plan.On; on != nil && on.Number == song.Number && !on.Skipped {
			news.SkipVotes, news.SkipNeeded = int32(len(on.Votes)), int32(plan.Rules.SkipVotes)
		}
		if p := plan.Playing; p != nil && p.Song == song.Name {
			news.ListenerName = asker(p.Listener, p.Asked)
		}
	} else {
		news.Away = plan.Away
	}
	return news
}
