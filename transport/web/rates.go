package web

import (
	"net/http"
	"strings"

	"conga/messages"
)

// oneRate is how the page asks for a stream that ends where a song has another sample rate than the one before.
const oneRate = "one-rate"

// The frames pass unchanged, so the sample rate may change within a stream. mpv, mpg123 and ffmpeg follow it. Browsers throw away
// what they still have, and VLC 3 decodes nothing more after some changes: their stream ends there, and they come anew for the
// rest, the page by itself, VLC by the next entry of its playlist. But VLC would come anew with the same decoder if it
// takes this for a stream with titles: where rates change, it gets none.

// endsAtAnotherRate says whether the player must come anew where the rate changes.
func endsAtAnotherRate(r *http.Request) bool { return r.URL.Query().Has(oneRate) || isVLC(r) }

func isVLC(r *http.Request) bool { return strings.Contains(r.UserAgent(), "LibVLC/") }

// needsPlain says whether the player must not take this for a stream with titles.
func (m *Music) needsPlain(r *http.Request) bool { return m.mixed.Load() && isVLC(r) }

// rates follows the sample rate for one player.
type rates struct{ now int32 }

// turn says whether the item has another rate than the one before.
func (r *rates) turn(item *messages.Item) bool {
	before := r.now
	r.now = item.Song.GetSampleRate()
	return before != 0 && before != r.now
}
