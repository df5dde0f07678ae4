package why

import (
	"cmp"
	"context"
	"slices"
	"time"

	"conga/actors/eventlog"
	"conga/messages"
)

const (
	// maxGathered is how many events a story may have: more than anybody reads.
	maxGathered = 10_000
	// maxAside bounds each of the gatherer's other lists.
	maxAside = 4096
)

// gatherer keeps the events of a node that a story about a name needs; if there are many, the newest. So the
// story of a year's log takes no more memory than that of a day's.
type gatherer struct {
	name   string
	song   string                     // that the story is about, if it is about one
	ids    map[string]bool            // of listeners of that name
	wishes map[string]bool            // ids of requests that matter
	songs  map[string]bool            // of these requests
	queued map[string]eventlog.Record // by song: its last request
	named  map[string]eventlog.Record // by id: the event that has the listener's name
	places []eventlog.Record          // listeners that left, moved or came back in the last moments
	gaps   gaps                       // times when nothing was broadcast
	failed map[string]time.Time       // upstreams that a listener has lost, and until when news of them matters
	kept   []eventlog.Record
	begins time.Time
}

// newGatherer gathers for a story about a listener's name or id, or about a song's name; song is the song that is meant,
// if that is known. An empty name means everybody. begins is when the events begin that it will be given.
func newGatherer(name, song string, begins time.Time) *gatherer {
	return &gatherer{
		name: name, song: song, begins: begins, ids: map[string]bool{}, wishes: map[string]bool{}, songs: map[string]bool{},
		queued: map[string]eventlog.Record{}, named: map[string]eventlog.Record{}, failed: map[string]time.Time{},
	}
}

// wanted says whether any story needs events of the type. Others need not be decoded.
func wanted(kind string) bool {
	switch kind {
	case "BroadcastOpened", "BroadcastClosed", "ListenerJoined", "ListenerReturned", "ListenerLeft", "ListenerMoved", "ListenerAudited",
		"VerdictEnded", "BranchMoved", "ListenerFellSilent", "ListenerReconnected",
		"SongQueued", "PlayRefused", "SongCancelled", "SkipDecided", "SongWaits", "SongSkipped", "SongChosen", "SongStarted", "SongEnded", "SongAdded", "SongBrought", "SongRemoved", "SongRejected",
		"NodeStarted", "UpstreamLost", "UpstreamUnusable", "UpstreamConnected", "SearchExhausted",
		"SongsAway", "SongsBack",
		"PlayerUnderran", "PlayerFellSilent", "PlayerHeardAgain", "PlayerStepped", "PlayerOutOfTime", "RequestSent", "RequestAnswered":
		return true
	}
	return false
}

// gathered returns what was kept, in order, and since when that is all that a story needs.
func (g *gatherer) gathered() ([]eventlog.Record, time.Time) {
	g.keepGap()
	g.shorten()
	return g.kept, g.begins
}

func (g *gatherer) keep(r eventlog.Record) {
	g.kept = append(g.kept, r)
	if len(g.kept) >= 2*maxGathered {
		g.shorten()
	}
}

func (g *gatherer) shorten() {
	slices.SortStableFunc(g.kept, func(a, b eventlog.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	g.kept = slices.CompactFunc(g.kept, func(a, b eventlog.Record) bool { return a.Seq == b.Seq })
	if over := len(g.kept) - maxGathered; over > 0 {
		g.begins = g.kept[over-1].Time
		g.kept = slices.Clone(g.kept[over:])
	}
}

// keepGap keeps the events with which a time without broadcast began.
func (g *gatherer) keepGap() {
	for _, r := range []*eventlog.Record{g.gaps.ended, g.gaps.vain} {
		if r != nil {
			g.keep(*r)
		}
	}
}

// add takes the next event.
func (g *gatherer) add(r eventlog.Record) {
	if from, _ := g.gaps.add(r); !from.IsZero() {
		g.keepGap()
		g.keep(r)
		g.gaps = gaps{}
	}
	switch e := r.Event.(type) {
	case *messages.SongQueued:
		g.wish(r, e)
	case *messages.PlayRefused:
		if g.about(e.GetListenerId(), e.GetListenerName()) || g.isSong(e.GetSong()) || g.isSong(e.GetWish()) {
			g.keep(r)
			for _, song := range []string{e.GetSong(), e.GetWish(), e.GetWish() + ".mp3"} {
				if q, is := g.queued[song]; is && e.GetReason() == messages.PlayRefused_REASON_ALREADY_REQUESTED {
					g.keep(q)
				}
			}
		}
	case *messages.SongWaits:
		g.turn(r, e.GetSong(), e.GetRequestId())
	case *messages.SongCancelled:
		g.turn(r, e.GetSong(), e.GetRequestId())
	case *messages.SkipDecided:
		g.turn(r, e.GetSong(), "")
	case *messages.SongSkipped:
		g.turn(r, e.GetSong(), e.GetRequestId())
	case *messages.SongChosen:
		g.turn(r, e.GetSong(), e.GetRequestId())
	case *messages.SongStarted:
		g.turn(r, e.GetSong().GetName(), "")
	case *messages.SongEnded:
		g.turn(r, e.GetSong(), "")
	case *messages.SongAdded:
		g.file(r, e.GetSong().GetName())
	case *messages.SongBrought:
		g.file(r, e.GetSong())
	case *messages.SongRemoved:
		g.file(r, e.GetName())
	case *messages.SongRejected:
		g.file(r, e.GetName())
	default:
		g.place(r)
	}
}

// about says whether the story is about this listener, and if so remembers its id.
func (g *gatherer) about(id, name string) bool {
	switch {
	case g.name == "", g.ids[id]:
		return true
	case sameName(name, g.name) || id == g.name:
		remember(g.ids, id)
		return true
	}
	return false
}

func (g *gatherer) isSong(song string) bool {
	return song != "" && song == g.song || g.name != "" && isSongOf(song, g.name)
}

func (g *gatherer) wish(r eventlog.Record, e *messages.SongQueued) {
	if g.about(e.GetListenerId(), e.GetListenerName()) || g.isSong(e.GetSong()) {
		remember(g.wishes, e.GetRequestId())
		remember(g.songs, e.GetSong())
		g.keep(r)
	}
	if len(g.queued) >= maxAside {
		clear(g.queued)
	}
	g.queued[e.GetSong()] = r
}

// turn takes an event of a song that may have been requested.
func (g *gatherer) turn(r eventlog.Record, song, request string) {
	if g.songs[song] || g.wishes[request] {
		g.keep(r)
	}
}

func (g *gatherer) file(r eventlog.Record, song string) {
	if g.isSong(song) {
		g.keep(r)
	}
}

// place takes an event of the chain, or of a listener's own log.
func (g *gatherer) place(r eventlog.Record) {
	id, name := "", ""
	switch e := r.Event.(type) {
	case *messages.ListenerJoined, *messages.ListenerReturned, *messages.ListenerLeft, *messages.ListenerMoved,
		*messages.BranchMoved, *messages.ListenerAudited, *messages.VerdictEnded, *messages.ListenerFellSilent, *messages.ListenerReconnected:
		who := nodes(e)[0]
		id, name = who.GetId(), who.GetName()
	default:
		g.keep(r) // it concerns all
		return
	}
	if g.about(id, name) {
		g.keep(r)
		for _, other := range others(r.Event) {
			if n, is := g.named[other]; is {
				g.keep(n)
			}
		}
	}
	if _, is := r.Event.(*messages.ListenerJoined); is {
		if len(g.named) >= maxAside {
			clear(g.named)
		}
		g.named[id] = r
	}
	switch e := r.Event.(type) {
	case *messages.ListenerLeft, *messages.ListenerMoved, *messages.ListenerReturned:
		if !r.Time.After(g.failed[id]) {
			g.keep(r)
		}
		g.places = append(g.places, r)
		if len(g.places) >= 2*maxAside {
			g.places = slices.Clone(g.places[maxAside:])
		}
	case *messages.ListenerReconnected:
		if !g.about(id, name) {
			return
		}
		lost := e.GetLost().GetId()
		for _, p := range slices.Backward(g.places) {
			if r.Time.Sub(p.Time) > 2*nearby {
				break
			}
			if nodes(p.Event)[0].GetId() == lost {
				g.keep(p)
			}
		}
		if len(g.failed) >= maxAside {
			clear(g.failed)
		}
		g.failed[lost] = r.Time.Add(nearby)
	}
}

// others returns the ids that the event has without names.
func others(event any) []string {
	switch e := event.(type) {
	case *messages.ListenerJoined:
		return []string{e.GetAfter(), e.GetFedBy()}
	case *messages.ListenerMoved:
		return []string{e.GetAfter(), e.GetSeenBy()}
	case *messages.BranchMoved:
		return []string{e.GetFrom()}
	case *messages.ListenerAudited:
		return []string{e.GetSeenBy()}
	}
	return nil
}

func remember(set map[string]bool, key string) {
	if len(set) >= maxAside {
		clear(set)
	}
	if key != "" {
		set[key] = true
	}
}

// Head is a story's first line.
type Head struct {
	Begins time.Time `json:"begins"` // since when the events are all that a story needs
	Events int       `json:"events"` // how many follow
}

// Gather reads the log's events since then, and keeps those that a story about the name needs. From begins on
// nothing is missing.
func Gather(ctx context.Context, log *eventlog.Log, since time.Time, about, song string) (events []eventlog.Record, begins time.Time, err error) {
	seq, err := log.SeqAt(since)
	if err != nil {
		return nil, begins, err
	}
	begins = since
	if base := log.BaseMark(); base.Seq > 0 && time.UnixMicro(base.Time).After(since) {
		begins = time.UnixMicro(base.Time)
	}
	g := newGatherer(about, song, begins)
	for r, err := range log.Pick(seq, wanted) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, begins, err
		}
		g.add(r)
	}
	events, begins = g.gathered()
	return events, begins, nil
}
