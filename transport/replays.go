package transport

import (
	"bytes"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"conga/messages"
)

const (
	// maxSaid is how many HI of one node are remembered within a minute. A search asks each
	// ancestor once, and rests when none has answered.
	maxSaid = 256
	// feedRate is how many chunks a second a listener gets on an average, and feedAtOnce how
	// many more: five windows. The music itself is some ten a second. So whoever asks again and
	// again for what it has had costs little more than one stream.
	feedRate, feedAtOnce = 12, 625
)

var (
	errReplayed = &refused{messages.StreamOpened_REFUSAL_STALE, "this request was used before"}
	errOften    = &refused{messages.StreamOpened_REFUSAL_FULL, "you ask too often"}
	errGreedy   = &refused{messages.StreamOpened_REFUSAL_FULL, "you have had the same music too often: ask again later"}
)

// record is what a port remembers of one node: the words that it has said within the last
// minute, and how much it has been given. Only those who are expected and have proved who they
// are have one, so nobody can make a port forget, or remember, another.
type record struct {
	words   []word // in the order in which they came
	given   *rate.Limiter
	catchUp *rate.Limiter // see catchUps
	last    int64         // when it was used, unix microseconds
}

type word struct {
	nonce []byte
	until int64 // unix microseconds: afterwards its time is too long ago
}

func newRecord() *record {
	return &record{given: rate.NewLimiter(feedRate, feedAtOnce), catchUp: newCatchUp()}
}

// hear refuses what was said before, and remembers it otherwise.
func (r *record) hear(nonce []byte, atUnixUs, nowUs int64) error {
	r.words = slices.DeleteFunc(r.words, func(w word) bool { return w.until < nowUs })
	for _, w := range r.words {
		if bytes.Equal(w.nonce, nonce) {
			return errReplayed
		}
	}
	if len(r.words) >= maxSaid {
		return errOften // to forget one instead would let it be said again
	}
	r.words = append(r.words, word{slices.Clone(nonce), atUnixUs + wordsAge})
	return nil
}

// records are a port's, by id. They are bounded by who is expected: only their records are kept
// longer than words can be said again.
type records map[string]*record

func (r records) of(id string, nowUs int64) *record {
	for other, record := range r {
		if record.last < nowUs-3*wordsAge && other != id {
			delete(r, other)
		}
	}
	if r[id] == nil {
		r[id] = newRecord()
	}
	r[id].last = nowUs
	return r[id]
}

// sated says whether the node has had more than the music's own pace allows.
func (r *record) sated(now time.Time) bool { return r.given.TokensAt(now) < 0 }

// give counts one chunk. It never holds up.
func (r *record) give(now time.Time) { r.given.ReserveN(now, 1) }
