package live

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"conga/actors"
	"conga/actors/pacer"
	"conga/cmd/internal/node"
	"conga/cmd/internal/screen"
	"conga/messages"
)

// mostFound is how many songs a search of the host shows.
const mostFound = 500

// lookEvery is how often a server's state is looked at; the bar moves on in between.
const lookEvery = 500 * time.Millisecond

// Server is a server as its own screen shows it.
type Server struct {
	*node.Server
	Pane     *screen.Pane
	Head     []string // where guests find it
	Code     []string // the QR code, and what it says
	CodeText string

	programme Programme
	state     atomic.Pointer[actors.ServerState]
	looked    time.Time
	rate      rate
	sent      int64
}

// Source is where the screen gets the server's state until ctx ends.
func (s *Server) Source(ctx context.Context) screen.Source {
	go Watch(ctx, s.Log, s.Pane, s.name)
	return screen.Source{
		Title: "this radio", Wave: "what goes out", Head: s.Head, Code: s.Code, CodeText: s.CodeText,
		Help: []string{
			"Others open the address, or join with the link. The server sends the music once, to the first listener of the chain; each passes it on to the next.",
			"`what happens` says who comes and goes, who asked for what, and how the chain was mended.",
		},
		Snapshot: func() screen.Snapshot { return s.snapshot(ctx) },
		Ask:      s.Host,
		Search:   s.search,
		News:     s.Pane.News,
	}
}

// name is the name of a node of the chain.
func (s *Server) name(id string) string {
	if state := s.state.Load(); state != nil && id != messages.ServerID {
		if m, found := state.ChainManager.Chain.Find(id); found {
			return m.Name
		}
	}
	return id
}

// search finds the songs that PLAY finds by the words; all without words.
func (s *Server) search(_ context.Context, words string) (found screen.Found) {
	state := s.state.Load()
	if state == nil {
		return found
	}
	more := 0
	add := func(name, title, artist string, length time.Duration) {
		if len(found.Songs) == mostFound {
			more++
			return
		}
		found.Songs = append(found.Songs, screen.Song{Name: name, Title: title, Artist: artist, Duration: length})
	}
	if strings.TrimSpace(words) != "" {
		for _, song := range state.Scheduler.Having(words) {
			add(song.Name, song.Title, song.Artist, micros(song.DurationUs))
		}
	} else {
		for song := range state.Catalog.Songs.All() {
			add(song.Name, song.Title, song.Artist, time.Duration(song.DurationMs)*time.Millisecond)
		}
	}
	if more > 0 {
		found.More = fmt.Sprintf("… and %d more: type another word", more)
	}
	return found
}

func (s *Server) snapshot(ctx context.Context) screen.Snapshot {
	if now := time.Now(); now.Sub(s.looked) >= lookEvery {
		s.looked = now
		s.look(ctx, now)
	}
	shown := s.programme.At(time.Now().UnixMicro())
	shown.Sound = "heard by those who listen; here nothing plays"
	state := s.state.Load()
	if state == nil {
		return shown
	}
	for m, level := range state.ChainManager.Chain.Tree() {
		shown.Chain = append(shown.Chain, screen.Member{Name: m.Name, Level: level, Note: note(m.Address, m.Leaf, m.Dials, m.Liar, m.Seed) + s.branch(m.Branch) + s.skew(m.ID)})
	}
	upload := fmt.Sprintf("%d songs; %s sent, %.0f kbit/s now", state.Catalog.Songs.Len(), Bytes(s.sent), s.rate.bits/1000)
	if n := state.Catalog.Rejected.Len(); n > 0 {
		upload = fmt.Sprintf("%d songs, and %d files that cannot be played; %s sent, %.0f kbit/s now", state.Catalog.Songs.Len(), n, Bytes(s.sent), s.rate.bits/1000)
	}
	shown.Facts = []string{upload}
	if slack := s.Server.Server.Slack(); slack != messages.Slack {
		shown.Facts = append(shown.Facts, fmt.Sprintf("music is sent %.1f s before it is heard", slack.Seconds()))
	}
	shown.Levels[0] = s.rate.share()
	return shown
}

// note is what the screen says beside a listener.
func note(address string, leaf, dials, liar, seed bool) string {
	words := []string{strings.TrimSuffix(address, "/32")} // for IPv6 only the network is known
	if seed {
		words = append(words, "of 2016")
	}
	if dials {
		words = append(words, "behind a firewall")
	}
	if leaf {
		words = append(words, "feeds nobody")
	}
	if liar {
		words = append(words, "lied: feeds nobody for a while")
	}
	return strings.Join(words, ", ")
}

// branch says on whom a branch hangs; "" if none begins here.
func (s *Server) branch(on string) string {
	switch on {
	case "":
		return ""
	case messages.ServerID:
		return ", hears from the server"
	}
	return ", hears from " + s.name(on)
}

// skew says by how much a listener plays too late, and how well it knows that; "" if it does not say so.
func (s *Server) skew(id string) string {
	v, is := s.Vitals(id)
	if !is {
		return ""
	}
	late, how := float64(v.LateUs)/1e3, "late"
	if late < 0 {
		late, how = -late, "early"
	}
	return fmt.Sprintf(", %.1f ± %.1f ms %s", late, float64(v.LateErrorUs)/1e3, how)
}

// look asks the server's actors for their states.
func (s *Server) look(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	dump, err := s.Server.Server.Dump(ctx)
	if err != nil {
		return // an actor restarts, and the next look has it again
	}
	if live, is := dump.Live[pacer.Actor].(pacer.Live); is {
		s.sent = live.BytesSent
		s.rate.add(now, live.BytesSent)
	}
	if state, is := dump.State.(actors.ServerState); is {
		s.state.Store(&state)
		for _, news := range playing(state) {
			s.programme.Add(news)
		}
	}
}

// playing is the news of the state: the songs that may be heard now, and what comes.
func playing(state actors.ServerState) []*messages.Playing {
	var queue []*messages.Coming
	for _, r := range state.Scheduler.Queue[:min(len(state.Scheduler.Queue), mostComing)] {
		song := state.Catalog.Find(r.Song)
		if song == nil {
			song = &messages.Song{Name: r.Song}
		}
		queue = append(queue, &messages.Coming{Song: song, ListenerName: cmp.Or(r.Listener, actors.Somebody)})
	}
	var all []*messages.Playing
	if song := state.Pacer.Song; song != nil {
		news := &messages.Playing{
			Song:         &messages.Song{Name: song.Name, Title: song.Title, Artist: song.Artist, DurationUs: song.DurationUs},
			PlayAtUnixUs: song.PlayAt, Queue: queue,
		}
		if on := state.Scheduler.On; on != nil && on.Number == song.Number && !on.Skipped {
			news.SkipVotes, news.SkipNeeded = int32(len(on.Votes)), int32(state.Scheduler.Rules.SkipVotes)
		}
		if p := state.Scheduler.Playing; p != nil && p.Song == song.Name {
			if news.ListenerName = p.Listener; p.Asked {
				news.ListenerName = cmp.Or(p.Listener, actors.Somebody)
			}
		}
		return append(all, news)
	}
	return append(all, &messages.Playing{Queue: queue})
}

// rate is how much is sent, over the last seconds.
type rate struct {
	at   time.Time
	sent int64
	bits float64 // a second
	most float64 // the most so far
}

// share is the rate compared with a little more than its maximum so far.
func (r *rate) share() float64 { return r.bits / max(1, 1.25*r.most) }

func (r *rate) add(now time.Time, sent int64) {
	if past := now.Sub(r.at); r.at.IsZero() || past < 0 {
		r.at, r.sent = now, sent
	} else if past >= 2*time.Second {
		r.bits = float64(sent-r.sent) * 8 / past.Seconds()
		r.most = max(r.most, r.bits)
		r.at, r.sent = now, sent
	}
}

// Host carries out a line that the host types. The lines are those of listeners.
func (s *Server) Host(ctx context.Context, line string) []string {
	return s.Say(ctx, line)
}
