package actors

import (
	"fmt"

	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/pacer/place"
	"conga/actors/scheduler"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// queueInNews bounds a line of news; REQUESTS shows the whole queue.
const queueInNews = 20

// announcer makes news from events: what plays and what comes next. It decides
// nothing and writes nothing.
type announcer struct {
	log   *eventlog.Log
	tell  func(*messages.Playing)
	find  func(ctx actor.Context, name string) // asks for a *messages.FoundSong
	songs map[string]*messages.Song            // those in the queue, by name; nil: the catalog was asked
	queue *eventlog.Keeper[scheduler.State]
	on    *eventlog.Keeper[place.State]
}

func announcerProps(log *eventlog.Log, find func(actor.Context, string), tell func(*messages.Playing)) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		return &announcer{log: log, find: find, tell: tell, songs: map[string]*messages.Song{}}
	})
}

// Receive tells the listeners when an event concerns what plays.
func (a *announcer) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		if err := a.open(); err != nil {
			panic(fmt.Errorf("open the announcer: %w", err))
		}
		a.announce(ctx)
	case *messages.SongStarted, *messages.SongEnded, *messages.SongQueued, *messages.SongChosen, *messages.SongSkipped,
		*messages.SongCancelled, *messages.SkipVoted, *messages.SkipDecided:
		a.announce(ctx)
	case *messages.FoundSong:
		if song := msg.Song; song != nil && a.waits(song.GetName()) {
			a.songs[song.GetName()] = song
			a.announce(ctx)
		}
	}
}

// open opens the keepers under the names of the actors whose states they follow: an
// archived log has only these states, under these names, not the events.
func (a *announcer) open() (err error) {
	if a.queue, err = eventlog.NewKeeper(a.log, scheduler.Actor, scheduler.State{}); err != nil {
		return err
	}
	a.on, err = eventlog.NewKeeper(a.log, pacer.Actor, place.State{})
	return err
}

// waits reports whether the catalog was asked for the song and has not answered.
func (a *announcer) waits(name string) bool {
	song, is := a.songs[name]
	return is && song == nil
}

// lookUp asks for the songs that have come into the queue, and forgets those that have left it.
func (a *announcer) lookUp(ctx actor.Context, queue []scheduler.Request) {
	known := a.songs
	a.songs = make(map[string]*messages.Song, len(queue))
	for _, r := range queue {
		song, asked := known[r.Song]
		if a.songs[r.Song] = song; !asked {
			a.find(ctx, r.Song)
		}
	}
}

func (a *announcer) announce(ctx actor.Context) {
	for _, catchUp := range []func() error{a.queue.CatchUp, a.on.CatchUp} {
		if err := catchUp(); err != nil {
			panic(err)
		}
	}
	queue := a.queue.State().Queue
	queue = queue[:min(len(queue), queueInNews)]
	a.lookUp(ctx, queue)
	news := playing(a.queue.State(), a.on.State())
	for _, r := range queue {
		news.Queue = append(news.Queue, &messages.Coming{Song: about(r.Song, a.songs[r.Song]), ListenerName: asker(r.Listener, true)})
	}
	a.tell(news)
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

func playing(queue scheduler.State, on place.State) *messages.Playing {
	news := &messages.Playing{}
	if song := on.Song; song != nil {
		news.Song = &messages.Song{
			Name: song.Name, Title: song.Title, Artist: song.Artist,
			DurationUs: song.DurationUs, SampleRate: song.SampleRate, Frames: song.Frames,
		}
		news.PlayAtUnixUs = song.PlayAt
		if on := queue.On; on != nil {
			news.SkipVotes, news.SkipNeeded = int32(len(on.Votes)), int32(queue.Rules.SkipVotes)
		}
		if p := queue.Playing; p != nil && p.Song == song.Name {
			news.ListenerName = asker(p.Listener, p.Asked)
		}
	} else {
		news.Away = queue.Away
	}
	return news
}
