package web

import (
	"errors"
	"net/http"
	"time"

	"conga/messages/plain"
	"conga/transport"
)

const (
	// pastPath is the past for conga itself: the frames of a stream connection, without seals. TLS says whose they are.
	pastPath = "/past"
	// atMoment is how a player says from when on it wants to hear the past.
	atMoment = "at"
)

// Past plays what was broadcast earlier: for each who listens the server sends it once more.
type Past struct {
	Open func(moment string) (Cursor, error)
	Most int // who listens at a time
}

// ErrPastFull is for one too many.
var ErrPastFull = errors.New("as many as this server allows hear the past at the moment; try again later")

// hear lets a client into the past, if there is room and it does not ask too often. If it returns false, it has answered.
func (s *site) hear(w http.ResponseWriter, r *http.Request, play func(open func() Cursor)) {
	moment := plain.Text(r.URL.Query().Get(atMoment), 64)
	switch {
	case s.cfg.Past == nil:
		fail(w, http.StatusNotFound, errors.New("this server does not play the past: conga serve --past says for how many it does"))
		return
	case !mayAsk(w, r):
		return
	case !s.again.enter():
		w.Header().Set("Retry-After", "60")
		fail(w, http.StatusServiceUnavailable, ErrPastFull)
		return
	}
	defer s.again.leave()
	if r.Method == http.MethodHead {
		play(nil)
		return
	}
	cursor, err := s.cfg.Past.Open(moment)
	if err != nil {
		fail(w, http.StatusNotFound, err)
		return
	}
	defer cursor.Close()
	play(func() Cursor { return cursor })
}

// past gives the past to a listener's own player.
func (s *site) past(w http.ResponseWriter, r *http.Request) {
	if !only(w, r, http.MethodGet) {
		return
	}
	s.hear(w, r, func(open func() Cursor) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		out := http.NewResponseController(w)
		_ = out.SetReadDeadline(time.Time{}) // it has said all that it says
		for cursor := open(); ; {
			item, err := cursor.Next(r.Context())
			if err != nil {
				return
			}
			frame, err := transport.AppendFrame(nil, transport.Frame{Kind: item.Kind(), Payload: item.Payload})
			if err != nil {
				return
			}
			_ = out.SetWriteDeadline(time.Now().Add(writeTakes))
			if _, err := w.Write(frame); err != nil || out.Flush() != nil {
				return
			}
		}
	})
}
