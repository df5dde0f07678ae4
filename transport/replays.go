package transport

import (
	"bytes"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"conga/messages"
)

const (
	// maxSaid is how many HIs of one node are remembered within a minute. A search asks each
	// ancestor once, and pauses if none has answered.
	maxSaid = 256
	// feedRate is how many chunks a second a listener may get on average, and feedAtOnce how many
	// more: five windows. The music itself has some ten a second. So a listener that asks again
	// and again for the same music costs little more than one stream.
	feedRate, feedAtOnce = 12, 625
)

var (
	errReplayed = &refused{messages.StreamOpened_REFUSAL_STALE, "this request was used before"}
	errOften    = &refused{messages.StreamOpened_REFUSAL_FULL, "you ask too often"}
	errGreedy   = &refused{messages.StreamOpened_REFUSAL_FULL, "you have had the same music too often: ask again later"}
)

// record is what a port remembers of one node: the requests of the last minute, and how much it has been
// given. Only nodes that are expected and have proved their identity have one, so nobody can make a
// port forget or create another's.
type record struct {
	words   []word // in the order in which they came
	given   *rate.Limiter
	catchUp *rate.Limiter // see catchUps
	last    int64         // when it was used, unix microseconds
}

type word struct {
	nonce []byte
	until int64 // unix microseconds: afterwards the request is too old anyway
}

func newRecord() *record {
	return &record{given: rate.NewLimiter(feedRate, feedAtOnce), catchUp: newCatchUp()}
}

// hear returns an error if the nonce was used before, and remembers it otherwise.
func (r *record) hear(nonce []byte, atUnixUs, nowUs int64) error {
	r.words = slices.DeleteFunc(r.words, func(w word) bool { return w.until < nowUs })
	for _, w := range r.words {
		if bytes.Equal(w.nonce, nonce) {
			return errReplayed
		}
	}
	if len(r.words) >= maxSaid {
		return errOften // if one were forgotten instead, it could be used again
	}
	r.words = append(r.words, word{slices.Clone(nonce), atUnixUs + wordsAge})
	return nil
}

// records are a port's records, by id. Only expected nodes have one, and a record that is not used is dropped
// when its requests are too old to be used again.
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

// sated reports whether the node has got more than feedRate and feedAtOnce allow.
func (r *record) sated(now time.Time) bool { return r.given.TokensAt(now) < 0 }

// give counts one chunk. It never waits.
func (r *record) give(now time.Time) { r.given.ReserveN(now, 1) }
