package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"conga/messages"
	"conga/messages/plain"
)

const (
	// webProtocol is what a browser names in its TLS handshake (ALPN).
	webProtocol = "http/1.1"
	// maxHead bounds the head of an HTTP request, in bytes.
	maxHead = 16 << 10
	// How long the head of an HTTP request, the whole request, and its answer may take, and how long the
	// connection may wait for another request. Answers that are long on purpose set their own deadlines.
	headPatience, bodyPatience, answerPatience, webIdle = 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second
)

// requestLine is how every HTTP request begins (RFC 9112): a method, a target, a version.
var requestLine = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\\S+)(?: HTTP/[0-9.]+)?$")

// speaksWeb reports whether a connection that begins with the line belongs to a browser, or to
// another program that takes this for a web server. Then nothing that follows is taken for a line of
// the dialect: a web page can make its visitors' browsers send any lines here. cut means that the
// line was too long and its end is missing.
func speaksWeb(line string, cut bool) bool {
	if cut {
		line = strings.Join(strings.SplitN(line, " ", 3)[:min(2, strings.Count(line, " ")+1)], " ")
	} else if at := strings.LastIndexByte(line, ' '); at < 0 || !strings.HasPrefix(line[at:], " HTTP/") {
		return false
	}
	parts := requestLine.FindStringSubmatch(line)
	if parts == nil {
		return false
	}
	method, target := parts[1], parts[2]
	if strings.HasPrefix(target, "/") || strings.Contains(target, "://") { // no song's name has a slash
		return true
	}
	return !cut && !isWord(method)
}

// isWord reports whether a line of the dialect, or of a person, may begin with the word.
func isWord(word string) bool {
	_, native := verbs[word]
	switch strings.ToUpper(word) {
	case "SONGS", "REQUESTS", "PLAY", "CANCEL", "SKIP", "HISTORY", "WHO", "HELP", "QUIT", "END", "AUTH":
		return true
	}
	return native
}

// beginsWeb waits for the first line and reports whether it begins an HTTP request, without consuming
// anything. The line may end like HTTP's, or like telnet's: with a CR and no LF after it.
func beginsWeb(r *bufio.Reader) bool {
	for n := 1; ; n = r.Buffered() + 1 {
		_, err := r.Peek(n)
		b, _ := r.Peek(r.Buffered())
		end := bytes.IndexAny(b, "\r\n")
		switch {
		case end >= 0 && b[end] == '\n', end >= 0 && bytes.HasPrefix(b[end:], []byte("\r\n")):
			return speaksWeb(string(b[:end]), false)
		case end >= 0 && end+1 < len(b):
			return false
		case err != nil:
			return errors.Is(err, bufio.ErrBufferFull) && speaksWeb(string(b), true)
		}
	}
}

// web answers HTTP requests until the connection is over.
func (t *requestTalk) web() {
	if t.guest.move(webs) {
		serveWeb(&begun{Conn: t.conn, r: t.r}, t.cfg.Web, func(ctx context.Context) context.Context {
			return context.WithValue(ctx, visitKey{}, &Visit{talk: t})
		})
	}
}

// serveWeb answers the HTTP requests on one connection. known adds to their context what is known of it.
func serveWeb(conn net.Conn, handler http.Handler, known func(context.Context) context.Context) {
	one := &single{conn: conn, over: make(chan struct{})}
	server := &http.Server{
		Handler: oneOnly(handler), MaxHeaderBytes: maxHead,
		ReadHeaderTimeout: headPatience, ReadTimeout: bodyPatience, WriteTimeout: answerPatience, IdleTimeout: webIdle,
		ErrorLog: log.New(io.Discard, "", 0), // strangers' errors are not logged
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				_ = one.Close()
			}
		},
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return known(ctx) },
	}
	_ = server.Serve(one) // it ends with the connection
}

// oneOnly refuses other versions than HTTP/1; net/http leaves that to the handler.
func oneOnly(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			w.Header().Set("Connection", "close")
			http.Error(w, "This port speaks HTTP/1.1.", http.StatusHTTPVersionNotSupported)
			return
		}
		handler.ServeHTTP(w, r)
	})
}

// single is a listener with one connection.
type single struct {
	conn net.Conn
	over chan struct{}
	take sync.Once
	end  sync.Once
}

// Accept returns the connection, and then waits for its end.
func (s *single) Accept() (conn net.Conn, err error) {
	s.take.Do(func() { conn = s.conn })
	if conn != nil {
		return conn, nil
	}
	<-s.over
	return nil, net.ErrClosed
}

func (s *single) Close() error   { s.end.Do(func() { close(s.over) }); return nil }
func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }

// Visit is one connection of a browser, or of another program that speaks HTTP, to the request port.
type Visit struct{ talk *requestTalk }

type visitKey struct{}

// VisitOf returns the connection on which a request came; nil if it did not come on a request port.
func VisitOf(ctx context.Context) *Visit {
	v, _ := ctx.Value(visitKey{}).(*Visit)
	return v
}

// Secure reports whether the connection is encrypted.
func (v *Visit) Secure() bool { return v.talk.session != nil }

// MayAsk counts a request that costs an actor work. If it returns false, the request must be refused.
func (v *Visit) MayAsk() bool { return v.talk.mayAsk() }

// ErrTooMuch: the client exceeds its limit of requests, or of messages that the log keeps.
var ErrTooMuch = errors.New("too many requests from you or your address: try again in a minute")

// ErrBusy: the scheduler does not answer in time.
var ErrBusy = errors.New("the server is busy: try again in a moment")

// Welcome gives a visitor of the page a cookie by which it is known again.
func (v *Visit) Welcome(w http.ResponseWriter, r *http.Request) {
	v.talk.cfg.Persons.welcome(w, r, v.talk.from(), v.Secure())
}

// asker is who asks: a guest that the cookie names, else whoever has the address.
func (v *Visit) asker(r *http.Request, name string) asker {
	a := v.talk.asker()
	if guest := v.talk.cfg.Persons.guest(r); guest != "" {
		a.person = guest
	}
	a.name = plain.Text(name, messages.MaxName)
	return a
}

// may says why what the log would keep is refused.
func (v *Visit) may(requestID string) error {
	switch id := plain.Text(requestID, maxRequestID); {
	case id == "" || id != requestID:
		return errors.New("a request needs an id of at most 64 plain characters")
	case !v.talk.mayAsk():
		return ErrTooMuch
	case v.talk.cfg.Disk.Full():
		return v.talk.cfg.NoDisk
	case !v.talk.mayLog():
		return ErrTooMuch
	}
	return nil
}

// Request asks for a song as PLAY does: within the same limits, and with the same events. r is the request that
// came, name is what the visitor calls itself. unsure: the server's disk does not have it yet.
func (v *Visit) Request(r *http.Request, wish, requestID, name string) (answer *messages.PlayAnswer, unsure bool, err error) {
	if wish == "" || len(wish) > maxWish || !isText(wish) {
		return &messages.PlayAnswer{Said: &messages.PlayRefused{Reason: messages.PlayRefused_REASON_NO_SUCH_SONG}}, false, nil
	}
	if err := v.may(requestID); err != nil {
		return nil, false, err
	}
	said, _, unsure := v.talk.request(v.asker(r, name).play(wish, requestID, v.talk.now()))
	if said.PlayAnswer == nil {
		return nil, false, ErrBusy
	}
	return said.PlayAnswer, unsure, nil
}

// Cancel takes a request back as CANCEL does. text says what became of it, done whether it was.
func (v *Visit) Cancel(r *http.Request, wish, requestID, name string) (text string, done bool, err error) {
	if wish == "" || len(wish) > maxWish || !isText(wish) {
		return cancelled(&messages.CancelAnswer{Refused: messages.CancelNotQueued}), false, nil
	}
	if err := v.may(requestID); err != nil {
		return "", false, err
	}
	said, _ := ask(v.talk.life, v.talk.root, v.talk.cfg.Scheduler, v.asker(r, name).cancel(wish, requestID))
	answer, is := said.(*messages.CancelAnswer)
	if !is {
		return "", false, ErrBusy
	}
	return cancelled(answer), answer.Refused == messages.CancelDone, nil
}

// Skip votes for the next song as SKIP does. text says what became of the vote, done whether it counts.
func (v *Visit) Skip(r *http.Request, requestID, name string) (text string, done bool, err error) {
	if err := v.may(requestID); err != nil {
		return "", false, err
	}
	said, _ := ask(v.talk.life, v.talk.root, v.talk.cfg.Scheduler, v.asker(r, name).skip(requestID, v.talk.now()))
	answer, is := said.(*messages.SkipAnswer)
	if !is {
		return "", false, ErrBusy
	}
	return skipped(answer), answer.Result == messages.SkipCounted || answer.Result == messages.SkipDone, nil
}
