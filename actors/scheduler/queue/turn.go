package queue

import (
	"time"

	"conga/messages"
)

// turns says when each request of the queue will be heard, as far as that is known at the time now, in unix
// microseconds. The song that is on, and one that was chosen and has not begun, come before all requests.
func (s State) turns(now int64) []messages.Turn {
	begins, known := max(s.Ends, now), true
	if s.On != nil {
		begins = max(s.On.Ends, now)
	}
	if p := s.Playing; p != nil && !p.Taken {
		begins, known = s.after(begins, p.Song)
	}
	turns := make([]messages.Turn, len(s.Queue))
	about := s.Rules.Order == Fair // a newcomer may come before
	for i, r := range s.Queue {
		turn := messages.Turn{Place: i + 1, In: -1, Reason: s.Wait(r)}
		if turn.Reason != "" {
			about = true // it comes before those behind it, as soon as it can
		} else {
			if known {
				turn.In, turn.About = time.Duration(begins-now)*time.Microsecond, about
			}
			var is bool
			begins, is = s.after(begins, r.Song)
			known = known && is
		}
		turns[i] = turn
	}
	return turns
}

// after is when the song is over if it begins then.
func (s State) after(begins int64, song string) (ends int64, known bool) {
	about, is := s.Songs.Find(song)
	if !is || about.DurationUs == 0 {
		return begins, false
	}
	return begins + about.DurationUs, true
}

// Requests is the queue with its turns.
func (s State) Requests(now int64) *messages.Requests {
	turns := s.turns(now)
	all := &messages.Requests{Waiting: make([]messages.Waiting, len(s.Queue))}
	for i, r := range s.Queue {
		song := &messages.Song{Name: r.Song}
		if known, is := s.Songs.Find(r.Song); is {
			song = known.message()
		}
		all.Waiting[i] = messages.Waiting{Song: song, By: r.Listener, Turn: turns[i]}
	}
	return all
}
