package queue

import (
	"math"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// choose takes the first request that can be played; if there is none, the next song of the playlist; if there is none,
// a random song other than the one that just played. A request that cannot be played at its turn keeps its place. The
// choice stays the same until the pacer has taken it.
func (s State) choose(cmd *messages.ChooseSong) []proto.Message {
	if s.Playing != nil && !s.Playing.Taken || s.Away != "" || s.Songs.Len() == 0 {
		return nil
	}
	at, fewest := cmd.GetAtUnixUs(), s.fewestTries()
	var events []proto.Message
	for _, r := range s.Queue {
		reason, missing := r.Reason, s.missing(r.Song)
		if missing != "" {
			reason = missing
		}
		switch {
		case r.Broken >= maxBroken:
			events = append(events, &messages.SongSkipped{Song: r.Song, RequestId: r.RequestID, Reason: "it broke off again and again: " + r.Reason})
		case missing == "" && (r.Waits == 0 && r.Tries < maxTries || r.Waits != 0 && r.Tries == fewest && at >= s.TryAgain):
			return append(events, &messages.SongChosen{
				Song: r.Song, RequestId: r.RequestID, ListenerName: r.Listener,
				Seed: cmd.GetSeed(), AtUnixUs: at,
			})
		case r.Waits == 0:
			events = append(events, &messages.SongWaits{Song: r.Song, RequestId: r.RequestID, Reason: reason, AtUnixUs: at})
		case at-r.Waits > keepWaiting.Microseconds():
			events = append(events, &messages.SongSkipped{Song: r.Song, RequestId: r.RequestID, Reason: "it waited for a day: " + reason})
		}
	}
	if song, place, found := s.listed(); found {
		return append(events, &messages.SongChosen{Song: song, Seed: cmd.GetSeed(), AtUnixUs: at, PlaylistPlace: place})
	}
	song, found := s.random(cmd.GetSeed())
	if !found {
		return events
	}
	return append(events, &messages.SongChosen{Song: song, Seed: cmd.GetSeed(), AtUnixUs: at})
}

// fewestTries is how often that waiting request was tried that comes next of those that could not be opened: each has
// its turn.
func (s State) fewestTries() int {
	fewest := math.MaxInt
	for _, r := range s.Queue {
		if r.Waits != 0 && s.missing(r.Song) == "" {
			fewest = min(fewest, r.Tries)
		}
	}
	return fewest
}

// random chooses among the songs that are there and do not wait in the queue. Those that wait there have a turn of their
// own, or cannot be played.
func (s State) random(seed uint64) (song string, found bool) {
	n, last := s.Songs.Len(), -1
	if s.Playing != nil && n > 1 {
		if at, there := s.Songs.Index(s.Playing.Song); there {
			n, last = n-1, at
		}
	}
	for i := range anywhere + n {
		at := int(guess(seed, i) % uint64(n))
		if last >= 0 && at >= last {
			at++
		}
		if song = s.Songs.At(at).Name; !s.waits(song) && s.missing(song) == "" {
			return song, true
		}
	}
	if last >= 0 && !s.waits(s.Playing.Song) && s.missing(s.Playing.Song) == "" { // it is the only one that can be played
		return s.Playing.Song, true
	}
	return "", false
}

// anywhere is how many songs are drawn at random before all are tried in order.
const anywhere = 32

// guess is the place of the i-th try. The first tries are independent of each other, so that a song that stands behind
// many that cannot be played is not chosen more often than others.
func guess(seed uint64, i int) uint64 {
	switch {
	case i == 0:
		return seed
	case i >= anywhere:
		return seed/2 + uint64(i-anywhere) // it does not overflow, which would leave songs out
	}
	x := seed + uint64(i)*0x9e3779b97f4a7c15 // splitmix64
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
