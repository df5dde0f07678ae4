package actors

import (
	"fmt"

	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/scheduler"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// queueInNews bounds a line of news; REQUESTS tells the whole queue.
const queueInNews = 20

// announcer makes news out of events: what plays and what comes next. It decides
// nothing and writes nothing.
type announcer struct {
	log   *eventlog.Log
	tell  func(*messages.Playing)
	queue *eventlog.Keeper[scheduler.State]
	on    *eventlog.Keeper[pacer.State]
}

func announcerProps(log *eventlog.Log, tell func(*messages.Playing)) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor { return &announcer{log: log, tell: tell} })
}

// Receive tells the listeners when an event concerns what plays.
func (a *announcer) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		if err := a.open(); err != nil {
			panic(fmt.Errorf("open the announcer: %w", err))
		}
		a.announce()
	case *messages.SongStarted, *messages.SongEnded, *messages.SongQueued, *messages.SongChosen, *messages.SongSkipped:
		a.announce()
	}
}

// open names the keepers after those whose states they follow: an archived log has
// these under their names, and no events to begin with.
func (a *announcer) open() (err error) {
	if a.queue, err = eventlog.NewKeeper(a.log, schedulerName, scheduler.State{}); err != nil {
		return err
	}
	a.on, err = eventlog.NewKeeper(a.log, pacerName, pacer.State{})
	return err
}

func (a *announcer) announce() {
	for _, catchUp := range []func() error{a.queue.CatchUp, a.on.CatchUp} {
		if err := catchUp(); err != nil {
			panic(err)
		}
	}
	a.tell(playing(a.queue.State(), a.on.State()))
}

func playing(queue scheduler.State, on pacer.State) *messages.Playing {
	news := &messages.Playing{}
	if song := on.Song; song != nil {
		news.Song = &messages.Song{
			Name: song.Name, Title: song.Title, Artist: song.Artist,
			DurationUs: song.DurationUs, SampleRate: song.SampleRate, Frames: song.Frames,
		}
		news.PlayAtUnixUs = song.PlayAt
		if p := queue.Playing; p != nil && p.Song == song.Name {
			news.ListenerName = p.Listener
		}
	}
	for _, r := range queue.Queue[:min(len(queue.Queue), queueInNews)] {
		news.Queue = append(news.Queue, r.Song)
	}
	return news
}
