package songstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"conga/actors/catalog"
	"conga/actors/catalog/library"
	"conga/actors/catalog/stock"
	"conga/actors/eventlog/jetstream"
)

const (
	// compareEvery is how often the store is asked whether it has changed, and walkEvery how often the songs folder is walked.
	compareEvery, walkEvery = 2 * time.Second, time.Minute
	// atOnce is how long files are read or fetched before what was found counts.
	atOnce = 5 * time.Second
	// slowest is the lowest speed of a fetch in bytes per second, beside fetchBegins. One that is slower is given up.
	slowest, fetchBegins = 20_000, time.Minute
	// named is how many songs are named.
	named = 5
	// passFirst is how long a song is passed over that could not be fetched, and passMost how long at most: each time twice as long.
	passFirst, passMost = 2 * time.Second, 10 * time.Minute
)

// Radio is what a server that stands by knows of the radio's songs.
type Radio struct {
	Library library.State
	First   []string // names of songs that will be needed first
}

// HoldConfig configures a Holder.
type HoldConfig struct {
	Songs     string           // this server's folder
	Converted string           // that of the mp3 files that it has made of other music; empty: none
	Data      string           // its data folder, for the sums; empty: they are not kept
	Fetched   *catalog.Fetched // what it has fetched; nil: nothing
	Store     Store            // where it fetches songs; nil: nowhere
	Logger    *slog.Logger
}

// Holder finds out, in the background, which of the radio's songs this server has, and fetches the others.
type Holder struct {
	cfg   HoldConfig
	sums  *sums
	radio atomic.Pointer[Radio]
	leads atomic.Bool
	stock atomic.Pointer[stock.Stock]
	fails atomic.Pointer[string] // why songs cannot be fetched now; nil: they can
	none  atomic.Bool            // the store has none of those that are missing
	known chan struct{}          // closed when stock is there
	once  sync.Once
	news  chan struct{} // the radio's songs are known

	// Of the goroutine.
	files   []stock.File
	made    map[catalog.MadeFile]bool
	lost    int // of what was fetched
	walked  time.Time
	of      *Radio
	changed bool // files, sums or what was fetched
	mark    jetstream.Mark
	again   time.Time // no fetch before then
	lists   time.Time // no list before then
	objects []stock.Object
	passed  map[string]pass // by what is played of the song
	told    *stock.Stock    // nil: nothing
	trouble wording         // with fetching
	unkept  wording         // why the sums are not kept
	unread  map[string]bool // files that cannot be read
}

// pass is until when a song is passed over, and how long the last wait was.
type pass struct {
	until time.Time
	lasts time.Duration
}

// Hold starts a Holder, which ends with ctx; then ended is closed.
func Hold(ctx context.Context, cfg HoldConfig) (h *Holder, ended <-chan struct{}) {
	h = &Holder{cfg: cfg, sums: openSums(cfg.Data), known: make(chan struct{}), news: make(chan struct{}, 1), unread: map[string]bool{}, passed: map[string]pass{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.run(ctx)
	}()
	return h, done
}

// Follow takes what the radio's songs are now.
func (h *Holder) Follow(radio Radio) {
	h.leads.Store(false)
	if h.radio.Swap(&radio) == nil {
		h.news <- struct{}{}
	}
}

// Lead is called when this server takes over. It returns the songs that lie elsewhere than in its folder under their names, and
// waits for them if it has only just started. From then on songs are fetched, but no files are read.
func (h *Holder) Lead(ctx context.Context, wait time.Duration) *catalog.Elsewhere {
	h.leads.Store(true)
	if h.radio.Load() == nil {
		return catalog.NewElsewhere(nil, h.cfg.Fetched)
	}
	select {
	case <-h.known:
		return catalog.NewElsewhere(h.stock.Load().Places, h.cfg.Fetched)
	case <-time.After(wait):
	case <-ctx.Done():
	}
	return catalog.NewElsewhere(nil, h.cfg.Fetched)
}

// Live is what the dump shows.
type Live struct {
	Songs  int    `json:"songs"`            // of the radio
	Lacks  int    `json:"lacks"`            // that cannot be played here
	Unmade int    `json:"unmade,omitempty"` // so many of them only for want of the mp3 that the radio's servers play
	Other  int    `json:"other"`            // whose names here have another content
	Does   string `json:"does,omitempty"`   // about those that it lacks
	Reason string `json:"reason,omitempty"` // why they cannot be fetched now
}

// Live returns how many songs are missing; false: nobody knows yet.
func (h *Holder) Live() (live Live, known bool) {
	s := h.stock.Load()
	if s == nil {
		return live, false
	}
	live = Live{Songs: s.Songs, Lacks: len(s.Lacks), Unmade: s.Unmade, Other: len(s.Other)}
	if why := h.fails.Load(); why != nil {
		live.Reason = *why
	}
	switch {
	case live.Lacks == 0:
		live.Reason = ""
	case h.cfg.Store == nil:
		live.Does = "fetches none"
	case live.Reason != "":
		live.Does = "cannot fetch them now"
	case h.none.Load():
		live.Does = "waits for the leader to share them"
	default:
		live.Does = "fetches them"
	}
	return live, true
}

// Says says in words what is missing and what is done about it, or that nothing is.
func (l Live) Says() string {
	if l.Lacks == 0 {
		return fmt.Sprintf("has all of the radio's songs (%d)", l.Songs)
	}
	return fmt.Sprintf("lacks %d of the radio's %d songs and %s", l.Lacks, l.Songs, l.Does)
}

func (h *Holder) run(ctx context.Context) {
	select {
	case <-h.news:
	case <-ctx.Done():
		return
	}
	for ctx.Err() == nil {
		h.compare(ctx)
		if busy := h.read(ctx); h.fetch(ctx) || busy {
			continue
		}
		select {
		case <-time.After(compareEvery):
		case <-ctx.Done():
		}
	}
	h.keep(true)
}

func (h *Holder) keep(now bool) {
	if err := h.sums.keep(now); h.unkept.isNew(err) {
		h.cfg.Logger.Warn("the sums of the songs cannot be kept; the next start reads the files again", "reason", err)
	}
}

// compare compares the radio's songs with those here, if either may have changed.
func (h *Holder) compare(ctx context.Context) {
	if time.Since(h.walked) > walkEvery && !h.leads.Load() {
		h.walk(ctx)
	}
	radio := h.radio.Load()
	if lost := h.cfg.Fetched.Lost(); lost != h.lost {
		h.lost, h.changed = lost, true
	}
	if ctx.Err() != nil || h.of != nil && !h.changed && h.of.Library.SameSongs(radio.Library) {
		return
	}
	files := make([]stock.File, len(h.files))
	for i, f := range h.files {
		files[i] = h.sums.of(f)
	}
	s := stock.Of(radio.Library.Songs.All(), files, stock.Has{
		Fetched: h.cfg.Fetched.HasSum,
		Made:    func(of, sum string) bool { return h.made[catalog.MadeFile{Of: of, Sum: sum}] },
	})
	h.of, h.changed = radio, false
	h.stock.Store(&s)
	h.once.Do(func() { close(h.known) })
	if !slices.ContainsFunc(s.Maybe, func(name string) bool { return !h.unread[name] }) {
		h.tell(s)
	}
}

func (h *Holder) walk(ctx context.Context) {
	files, err := catalog.Files(ctx, h.cfg.Songs)
	if h.walked = time.Now(); err != nil {
		files = nil // they cannot be played either
	} else {
		h.sums.only(files)
	}
	made := map[catalog.MadeFile]bool{}
	if h.cfg.Converted != "" {
		made, _ = catalog.Made(h.cfg.Converted) // if the folder cannot be read, they cannot be played either
	}
	h.changed = h.changed || !slices.Equal(files, h.files) || !maps.Equal(made, h.made)
	h.files, h.made = files, made
	clear(h.unread)
}

// tell says what is missing and what differs, when that changes in more than that some of it has come.
func (h *Holder) tell(s stock.Stock) {
	if h.leads.Load() || h.told != nil && slices.Equal(s.Lacks, h.told.Lacks) && slices.Equal(s.Other, h.told.Other) {
		return
	}
	before := h.told
	if h.told = &s; before == nil {
		before = &stock.Stock{}
	}
	more := slices.ContainsFunc(s.Lacks, func(name string) bool { _, known := slices.BinarySearch(before.Lacks, name); return !known })
	if len(s.Other) > 0 && !slices.Equal(s.Other, before.Other) {
		h.cfg.Logger.Warn("files of this server are not the radio's songs of their names", "differ", len(s.Other), "songs", some(s.Other))
	}
	switch {
	case len(s.Lacks) > s.Unmade && h.cfg.Store == nil:
		h.cfg.Logger.Warn("this server lacks songs of the radio, and could not play them: copy them into its folder, under any name, or start all servers with --share-songs",
			"lacks", len(s.Lacks), "songs", some(s.Lacks))
	case len(s.Lacks) > 0 && h.cfg.Store == nil:
		h.cfg.Logger.Warn("this server does not have the mp3 files that the radio's server has made of other music; when it takes over, it has to make its own, and a song that is on breaks off: start all servers with --share-songs",
			"lacks", len(s.Lacks), "songs", some(s.Lacks))
	case more:
		h.cfg.Logger.Info("this server lacks songs of the radio, and fetches them", "lacks", len(s.Lacks), "songs", some(s.Lacks))
	case len(s.Lacks) == 0:
		h.cfg.Logger.Info("this server has all songs of the radio", "songs", s.Songs)
	}
}

func some(names []string) string { return strings.Join(names[:min(len(names), named)], ", ") }

// read computes sums: first those of files that may be songs that are missing. All others are read slowly, one at a time, to see
// whether they are what they seem to be.
func (h *Holder) read(ctx context.Context) (busy bool) {
	s := h.stock.Load()
	if s == nil || h.leads.Load() {
		return false
	}
	byName := make(map[string]stock.File, len(h.files))
	for _, f := range h.files {
		byName[f.Name] = f
	}
	began := time.Now()
	sum := func(name string) bool {
		f := byName[name]
		if h.unread[name] {
			return false
		}
		text, err := catalog.SumOf(ctx, h.cfg.Songs, f)
		if err != nil {
			h.unread[name] = ctx.Err() == nil // until the next walk
			return false
		}
		f.Sum = text
		h.sums.add(f)
		h.changed = true
		return true
	}
	for _, name := range s.Maybe {
		busy = sum(name) || busy
		if ctx.Err() != nil || time.Since(began) > atOnce {
			break
		}
	}
	for _, name := range s.Unread {
		if busy || sum(name) {
			break
		}
	}
	h.keep(false)
	return busy
}

// fetch fetches songs that are missing, and says whether there may be more.
func (h *Holder) fetch(ctx context.Context) (busy bool) {
	s := h.stock.Load()
	if s == nil || h.cfg.Store == nil || len(s.Lacks) == 0 || time.Now().Before(h.again) {
		return false
	}
	if err := h.list(ctx); err != nil {
		h.failed(ctx, "", err)
		return false
	}
	began, failed := time.Now(), false
	all := s.Fetch(h.objects, h.radio.Load().First)
	h.none.Store(len(all) == 0)
	for _, song := range all {
		content, _ := stock.ContentOf(song)
		if time.Now().Before(h.passed[content.Sum].until) {
			failed = true
			continue
		}
		if time.Since(began) > atOnce {
			return true
		}
		switch err := h.take(ctx, s, song, content); {
		case err == nil:
			h.changed, busy = true, true
			delete(h.passed, content.Sum)
		case errors.Is(err, jetstream.ErrNoSong):
			h.mark = jetstream.Mark{} // the list is old
		case errors.Is(err, catalog.ErrNoRoom):
			h.failed(ctx, song.Name, err)
			return false
		default: // it must not keep others from coming
			h.pass(content.Sum)
			h.failed(ctx, song.Name, err)
			return busy
		}
	}
	if !failed {
		h.trouble.isNew(nil)
		h.fails.Store(nil)
	}
	return busy
}

// pass passes the song over for a while.
func (h *Holder) pass(sum string) {
	lasts := min(max(2*h.passed[sum].lasts, passFirst), passMost)
	h.passed[sum] = pass{time.Now().Add(lasts), lasts}
}

// list lists the store if it has changed. A long list is asked for less often.
func (h *Holder) list(ctx context.Context) error {
	mark, err := h.cfg.Store.Mark(ctx)
	if err != nil || mark == h.mark || time.Now().Before(h.lists) {
		return err
	}
	began := time.Now()
	if h.objects, err = list(ctx, h.cfg.Store); err != nil {
		return err
	}
	h.mark, h.lists = mark, time.Now().Add(10*time.Since(began))
	return nil
}

func (h *Holder) take(ctx context.Context, s *stock.Stock, song *library.Song, content stock.Content) error {
	h.cfg.Fetched.Prune(content.Most, s.Needs)
	ctx, cancel := context.WithTimeout(ctx, fetchBegins+time.Duration(content.Most/slowest)*time.Second)
	defer cancel()
	body, err := h.cfg.Store.Get(ctx, content.Sum)
	if err == nil {
		err = h.cfg.Fetched.Take(ctx, song, body)
		_ = body.Close() // nothing was written
	}
	if errors.Is(err, catalog.ErrOtherContent) || errors.Is(err, jetstream.ErrBroken) {
		err = errors.Join(err, h.cfg.Store.Remove(ctx, content.Sum)) // so that it is put anew
	}
	return err
}

// failed says why songs are not fetched now; song: one of them. They are tried again soon.
func (h *Holder) failed(ctx context.Context, song string, err error) {
	h.again = time.Now().Add(compareEvery)
	if errors.Is(err, catalog.ErrNoRoom) {
		h.again = time.Now().Add(walkEvery)
	}
	if ctx.Err() != nil {
		return
	}
	why := err.Error()
	h.fails.Store(&why)
	if !h.trouble.isNew(err) {
		return
	}
	args := []any{"lacks", len(h.stock.Load().Lacks), "reason", err}
	if song != "" {
		args = append(args, "song", song)
	}
	h.cfg.Logger.Warn("songs of the radio cannot be fetched now", args...)
}
