package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors"
	"conga/actors/catalog"
	"conga/actors/eventlog"
	"conga/actors/lease"
	"conga/cmd/internal/picture"
	"conga/transport/web"
)

const (
	// ownPlayers is how many players a node serves on its --http port, and LastPlayers how many a server usually serves
	// that no node can take. The server sends the music to each of these.
	ownPlayers, LastPlayers = 8, 8
	// looksBack is how many events back the page's history begins when it is first looked at.
	looksBack = 50_000
	// wordsAtOnce is how many events an answer about the log has, and readsAtMost how many it may read for them.
	wordsAtOnce, readsAtMost = 100, 2000
)

// webSite is the page of a server.
func webSite(s *actors.Server, o ServerOptions, log *eventlog.Log, offers *web.Offers, now func() time.Time) http.Handler {
	names := append([]string(nil), o.WebNames...)
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	source := &webSource{server: s, log: log, songs: o.Songs, elsewhere: o.Elsewhere, offers: offers, now: now, servers: o.Servers, standing: o.Standing}
	if u := s.Uploads(); u != nil {
		source.uploads = &uploads{u, o.Uploads, now}
	}
	if o.Past > 0 {
		source.earlier = newPast(s, o, log, now)
	}
	return web.NewSite(web.SiteConfig{
		Past: source.playsPast(o.Past), Source: source, Uploads: source.taking(), Offers: offers, Names: names, Now: now,
		Music: &web.Music{Most: cmp.Or(o.Players, LastPlayers), Open: func() web.Cursor { return s.Tune() }}, Secret: o.Token != "",
	})
}

// webSource is a server as its page sees it.
type webSource struct {
	server *actors.Server
	log    *eventlog.Log
	songs  string
	offers *web.Offers
	now    func() time.Time

	elsewhere *catalog.Elsewhere // songs that do not lie in the folder; may be nil

	uploads *uploads // nil: guests may bring no songs
	earlier *past    // nil: the past cannot be heard

	servers  []string // all of the radio; nil: it is the only one
	standing func() lease.Standing

	history struct {
		sync.Mutex
		picture.History
		seen uint64
	}
	past struct {
		sync.Mutex
		state actors.ServerState
		event uint64 // 0: there is none yet
	}
}

// Last is the number of the newest event.
func (w *webSource) Last() uint64 { return w.log.Last() }

func (w *webSource) state(ctx context.Context) (actors.ServerState, uint64, error) {
	dump, err := w.server.Dump(ctx)
	if err != nil {
		return actors.ServerState{}, 0, err
	}
	return dump.State.(actors.ServerState), dump.Event, nil
}

// Look is how everything is now.
func (w *webSource) Look(ctx context.Context) (web.Parts, error) {
	state, event, err := w.state(ctx)
	if err != nil {
		return nil, err
	}
	parts, err := picture.Of(state, event, w.now().UnixMicro(), w.offers.Vitals)
	if err != nil {
		return nil, err
	}
	w.history.Lock()
	defer w.history.Unlock()
	w.catchUp()
	if parts["history"], err = picture.Encode(w.history.Told(w.now())); err != nil {
		return nil, err
	}
	if parts["uploads"], err = picture.Encode(w.uploads.offer()); err != nil {
		return nil, err
	}
	if parts["lead"], err = picture.Encode(w.lead()); err != nil {
		return nil, err
	}
	parts["again"], err = picture.Encode(w.earlier != nil)
	return parts, err
}

// lead says who leads; nil: there is only this server.
func (w *webSource) lead() *picture.Lead {
	if w.standing == nil {
		return nil
	}
	leader := w.standing().Leader
	return &picture.Lead{Server: leader.GetRequests(), SinceUs: leader.GetSinceUnixUs(), Servers: w.servers}
}

// playsPast is what lets so many hear the past; nil: nobody can.
func (w *webSource) playsPast(most int) *web.Past {
	if w.earlier == nil {
		return nil
	}
	return &web.Past{Open: w.earlier.Open, Most: most}
}

// catchUp brings the history to the newest event. The caller holds its lock.
func (w *webSource) catchUp() {
	last := w.log.Last()
	if last-w.history.seen > looksBack {
		w.history.seen = last - looksBack
	}
	w.history.seen = max(w.history.seen, w.log.Base())
	for record, err := range w.log.Pick(w.history.seen, picture.Wanted) {
		if err != nil || record.Seq > last {
			break // these events were folded meanwhile; the history can do without them
		}
		w.history.Apply(record.Event)
	}
	w.history.seen = last
}

// At is how everything was after an event.
func (w *webSource) At(_ context.Context, event uint64) (web.Parts, error) {
	event = min(event, w.log.Last())
	mark, err := w.log.MarkAt(event)
	if event == 0 || event < w.log.Base() || err != nil {
		return nil, web.ErrGone
	}
	state, err := w.stateAt(event)
	if err != nil {
		return nil, errors.Join(web.ErrGone, err)
	}
	return picture.Of(state, event, mark.Time, nil)
}

// stateAt goes on from the state of the last look, if that was earlier.
func (w *webSource) stateAt(event uint64) (actors.ServerState, error) {
	w.past.Lock()
	defer w.past.Unlock()
	if p := &w.past; p.event == 0 || p.event > event || p.event < w.log.Base() {
		state, err := actors.ServerStateAt(w.log, event)
		if err == nil {
			p.state, p.event = state, event
		}
		return state, err
	}
	state := w.past.state
	err := w.log.Fold(w.past.event, event, func(_ uint64, e proto.Message) { state = state.Apply(e) })
	if err == nil {
		w.past.state, w.past.event = state, event
	}
	return state, err
}

// Songs finds the songs that have all the words.
func (w *webSource) Songs(ctx context.Context, words string, from int) (any, error) {
	state, _, err := w.state(ctx)
	if err != nil {
		return nil, err
	}
	return picture.Search(state, words, from), nil
}

// Log is what happened up to an event, the newest first.
func (w *webSource) Log(ctx context.Context, upTo uint64) (any, error) {
	first, last := w.log.Base()+1, w.log.Last()
	if upTo == 0 || upTo > last {
		upTo = last
	}
	w.history.Lock()
	w.catchUp()
	w.history.Unlock()
	answer := struct {
		First  uint64         `json:"first"` // the log's first event
		Last   uint64         `json:"last"`
		Before uint64         `json:"before"` // ask for the events before this one next; 0: there are none
		Words  []picture.Word `json:"words"`
	}{First: first, Last: last, Words: []picture.Word{}}
	for end := upTo; end >= first && len(answer.Words) < wordsAtOnce && upTo-end < readsAtMost; {
		begin := max(first, end-min(end, wordsAtOnce)+1)
		var words []picture.Word
		for record, err := range w.log.Since(begin - 1) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, fmt.Errorf("read the log: %w", err)
			}
			if record.Seq > end {
				break
			}
			if word, is := picture.Words(record.Seq, record.Time, record.Event, w.name); is {
				words = append(words, word)
			}
		}
		for i := len(words) - 1; i >= 0; i-- {
			answer.Words = append(answer.Words, words[i])
		}
		end = begin - 1
		answer.Before = end
		if end < first {
			answer.Before = 0
			break
		}
	}
	return answer, nil
}

func (w *webSource) name(id string) string {
	w.history.Lock()
	defer w.history.Unlock()
	return w.history.Name(id)
}

// Cover is a song's picture.
func (w *webSource) Cover(_ context.Context, song string) ([]byte, error) {
	return catalog.Cover(w.songs, w.elsewhere, song)
}
