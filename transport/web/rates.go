package web

import (
	"net/http"
	"strings"

	"conga/messages"
)

// oneRate is how the page asks for a stream that ends where the sample rate changes.
const oneRate = "one-rate"

// The frames pass unchanged, so the sample rate may change within a stream. mpv, mpg123 and ffmpeg follow it. Browsers throw
// away what they still have, and VLC 3 decodes nothing more after some changes. So their stream ends there, and they connect
// again for the rest: the page by itself, VLC by the next entry of its playlist. But VLC would keep its decoder for a stream
// with titles, so it gets no titles once rates have changed.

// endsAtAnotherRate says whether the player must come anew where the rate changes.
func endsAtAnotherRate(r *http.Request) bool { return r.URL.Query().Has(oneRate) || isVLC(r) }

func isVLC(r *http.Request) bool { return strings.Contains(r.UserAgent(), "LibVLC/") }

// needsPlain says whether the player must get a stream without titles.
func (m *Music) needsPlain(r *http.Request) bool { return m.mixed.Load() && isVLC(r) }

// rates follows the sample rate for one player.
type rates struct{ now int32 }

// turn says whether the sample rate changes at this item.
func (r *rates) turn(item *messages.Item) bool {
	before := r.now
	r.now = item.Song.GetSampleRate()
	return before != 0 && before != r.now
}
