package web

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"conga/messages/plain"
	"conga/transport"
)

// Source is what the page asks of the server. Anybody may see its answers, and any goroutine may call its methods.
type Source interface {
	// Last is the number of the newest event.
	Last() uint64
	// Look returns how everything is now, At how it was after an event: the parts by name, as JSON.
	Look(ctx context.Context) (Parts, error)
	At(ctx context.Context, event uint64) (Parts, error)
	// Songs returns the songs that have all the words, from number `from` on.
	Songs(ctx context.Context, words string, from int) (any, error)
	// Log returns what happened up to an event, the newest first; 0: up to now.
	Log(ctx context.Context, upTo uint64) (any, error)
	// Cover returns a song's picture; nil: it has none.
	Cover(ctx context.Context, song string) ([]byte, error)
}

// Parts are what the page shows, by name.
type Parts map[string]json.RawMessage

// ErrGone: the log does not reach back so far.
var ErrGone = errors.New("the log does not reach back so far")

// SiteConfig is what a Site needs.
type SiteConfig struct {
	Source Source
	Music  *Music // the server's own, for players that no node can take
	Offers *Offers
	Past   *Past // nil: the past cannot be heard

	Uploads Uploads // nil: guests may bring no songs

	Names  []string // further names of this machine
	Secret bool     // only those who know the token may come in
	Now    func() time.Time
}

//go:embed page
var assets embed.FS

const (
	// maxBody bounds a request for a song, in bytes.
	maxBody = 4 << 10
	// looksAtOnce is how many may look into the past or for a cover at a time, because both read the disk.
	looksAtOnce = 2
)

// NewSite returns the server's page.
func NewSite(cfg SiteConfig) http.Handler {
	s := &site{cfg: cfg, live: newLive(cfg.Source), looks: make(chan struct{}, looksAtOnce)}
	if cfg.Past != nil {
		s.again.Most = cfg.Past.Most
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.page)
	for _, name := range []string{"app.js", "style.css", "icon.svg"} {
		mux.HandleFunc("/"+name, asset(name))
	}
	mux.Handle("/live", s.live)
	mux.HandleFunc("/now", s.now)
	mux.HandleFunc("/songs", s.songs)
	mux.HandleFunc("/request", asks(s.request))
	mux.HandleFunc("/cancel", asks(s.cancel))
	mux.HandleFunc("/skip", asks(s.skip))
	mux.HandleFunc("/upload", s.upload)
	mux.HandleFunc("/cover", s.cover)
	mux.HandleFunc("/log", s.log)
	mux.HandleFunc("/at", s.at)
	mux.HandleFunc(streamPath, s.stream)
	mux.HandleFunc(pastPath, s.past)
	mux.HandleFunc("/listen.m3u", playlist)
	mux.HandleFunc("/listen.pls", playlist)
	if cfg.Secret {
		return Guard(members(mux), cfg.Names...)
	}
	return Guard(mux, cfg.Names...)
}

type site struct {
	cfg   SiteConfig
	live  *live
	looks chan struct{}
	again Music // what of the music's counters the past needs
}

// policy lets the page load its own files, and music from %s. That cannot be a list of nodes, because some join after the
// page was loaded: the page follows the server's redirect to them. A page over TLS loads nothing without TLS.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"media-src 'self'%s; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

func (s *site) page(w http.ResponseWriter, r *http.Request) {
	if !only(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	nodes := " http:"
	if secure(r) {
		nodes = " https:"
	}
	w.Header().Set("Content-Security-Policy", fmt.Sprintf(policy, nodes))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if visit := transport.VisitOf(r.Context()); visit != nil {
		visit.Welcome(w, r)
	}
	body, _ := assets.ReadFile("page/index.html")
	_, _ = w.Write(body)
}

var kinds = map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

func asset(name string) http.HandlerFunc {
	body, err := assets.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is part of the program
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if only(w, r, http.MethodGet, http.MethodHead) {
			w.Header().Set("Content-Type", kinds[path.Ext(name)])
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write(body)
		}
	}
}

// visitorOf is the visitor's address; invalid if a proxy on this machine asks for somebody whose address is not known.
func visitorOf(r *http.Request) netip.Addr {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	if from.Addr().Unmap().IsLoopback() && !isLoopback(r.Host) {
		return netip.Addr{}
	}
	return from.Addr()
}

// isLoopback says whether host, with its port, is a machine's name for itself.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

func secure(r *http.Request) bool {
	visit := transport.VisitOf(r.Context())
	return r.TLS != nil || visit != nil && visit.Secure()
}

// stream plays the past to one who names a moment. It sends other players to the node that has most room for them; the server
// plays itself only if no node can. A client that could not use its node, or must not leave this port, says "here".
func (s *site) stream(w http.ResponseWriter, r *http.Request) {
	if !only(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	if r.URL.Query().Has(atMoment) {
		s.hear(w, r, func(open func() Cursor) { s.again.playFrom(w, r, open) })
		return
	}
	if !r.URL.Query().Has("here") {
		if place, found := s.cfg.Offers.Choose(visitorOf(r), r.URL.Query().Has(onlyTLS)); found {
			w.Header().Set("Location", place.URL(secure(r))+forNode(r, place.Node))
			w.WriteHeader(http.StatusFound)
			return
		}
	}
	s.cfg.Music.play(w, r)
}

// onlyTLS is how the page says that it was loaded over TLS: its browser then takes no music without.
const onlyTLS = "tls"

// forNode is what a player says to the node that it is sent to: how it wants the stream and, if there is a token, that
// the server has let it in. Its own pass it tells nobody but the server.
func forNode(r *http.Request, node string) string {
	said := url.Values{}
	if r.URL.Query().Has(oneRate) {
		said.Set(oneRate, "")
	}
	if visit := transport.VisitOf(r.Context()); visit != nil && visit.Secret() {
		said.Set("pass", visit.NodePass(node))
	}
	if len(said) == 0 {
		return ""
	}
	return "?" + said.Encode()
}

// mayAsk counts a request that makes the server work, and refuses it if the client asks too often.
func mayAsk(w http.ResponseWriter, r *http.Request) bool {
	if visit := transport.VisitOf(r.Context()); visit == nil || visit.MayAsk() {
		return true
	}
	fail(w, http.StatusTooManyRequests, transport.ErrTooMuch)
	return false
}

func reply(w http.ResponseWriter, code int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"error":"the answer has no form"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

func fail(w http.ResponseWriter, code int, err error) {
	reply(w, code, map[string]string{"error": sentence(err.Error())})
}

// sentence makes the first letter a capital.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + s[size:]
}

// now returns once what /live tells, for scripts.
func (s *site) now(w http.ResponseWriter, r *http.Request) {
	if !only(w, r, http.MethodGet) || !mayAsk(w, r) {
		return
	}
	parts, err := s.cfg.Source.Look(r.Context())
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	reply(w, http.StatusOK, parts)
}

func (s *site) songs(w http.ResponseWriter, r *http.Request) {
	if !only(w, r, http.MethodGet) || !mayAsk(w, r) {
		return
	}
	words := plain.Text(r.URL.Query().Get("q"), 200)
	from, _ := strconv.Atoi(r.URL.Query().Get("from")) // else from the first
	answer, err := s.cfg.Source.Songs(r.Context(), words, max(0, from))
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	reply(w, http.StatusOK, answer)
}

// looksBack bounds how many look at the disk at a time. If it does not let a client in, it has answered.
func (s *site) looksBack(w http.ResponseWriter, r *http.Request) (done func(), in bool) {
	if !only(w, r, http.MethodGet) || !mayAsk(w, r) {
		return nil, false
	}
	select {
	case s.looks <- struct{}{}:
		return func() { <-s.looks }, true
	case <-r.Context().Done():
		return nil, false
	}
}

func (s *site) cover(w http.ResponseWriter, r *http.Request) {
	done, in := s.looksBack(w, r)
	if !in {
		return
	}
	defer done()
	picture, err := s.cfg.Source.Cover(r.Context(), r.URL.Query().Get("song"))
	kind := http.DetectContentType(picture)
	switch {
	case err != nil || picture == nil, kind != "image/jpeg" && kind != "image/png" && kind != "image/webp" && kind != "image/gif":
		w.WriteHeader(http.StatusNoContent) // a song may have no picture
	default:
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "private, max-age=3600")
		_, _ = w.Write(picture)
	}
}

func (s *site) log(w http.ResponseWriter, r *http.Request) {
	done, in := s.looksBack(w, r)
	if !in {
		return
	}
	defer done()
	upTo, _ := strconv.ParseUint(r.URL.Query().Get("to"), 10, 64) // else to the end
	answer, err := s.cfg.Source.Log(r.Context(), upTo)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	reply(w, http.StatusOK, answer)
}

func (s *site) at(w http.ResponseWriter, r *http.Request) {
	done, in := s.looksBack(w, r)
	if !in {
		return
	}
	defer done()
	event, err := strconv.ParseUint(r.URL.Query().Get("event"), 10, 64)
	if err != nil {
		fail(w, http.StatusBadRequest, errors.New("say which event: /at?event=12"))
		return
	}
	parts, err := s.cfg.Source.At(r.Context(), event)
	switch {
	case errors.Is(err, ErrGone):
		fail(w, http.StatusNotFound, err)
	case err != nil:
		fail(w, http.StatusServiceUnavailable, err)
	default:
		reply(w, http.StatusOK, parts)
	}
}
