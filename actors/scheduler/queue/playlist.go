package queue

import (
	"math/rand/v2"
	"slices"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// Playlist is what plays when nobody has asked for anything. It is immutable.
type Playlist struct {
	// Songs are names in the order of the list; some may not be there.
	Songs []string `json:"songs"`
	// Shuffle plays them in another order each round, which follows from Seed.
	Shuffle bool   `json:"shuffle,omitempty"`
	Seed    uint64 `json:"seed,omitempty"`
	// Place is how many places are done, counted through all rounds. After a request or a restart the list goes on there.
	Place uint64 `json:"place"`
}

// setPlaylist sets another list. The same one goes on where it was.
func (s State) setPlaylist(cmd *messages.SetPlaylist) []proto.Message {
	var now Playlist
	if s.Playlist != nil {
		now = *s.Playlist
	}
	if slices.Equal(now.Songs, cmd.GetSongs()) && (now.Shuffle == cmd.GetShuffle() || len(now.Songs) == 0) {
		return nil
	}
	return []proto.Message{&messages.PlaylistSet{Songs: cmd.GetSongs(), Shuffle: cmd.GetShuffle(), Seed: cmd.GetSeed()}}
}

func playlistOf(event *messages.PlaylistSet) *Playlist {
	if len(event.GetSongs()) == 0 {
		return nil
	}
	return &Playlist{Songs: slices.Clone(event.GetSongs()), Shuffle: event.GetShuffle(), Seed: event.GetSeed()}
}

// after is the list once so many places are done; 0 leaves it as it is.
func (p *Playlist) after(place uint64) *Playlist {
	if p == nil || place == 0 {
		return p
	}
	on := *p
	on.Place = place
	return &on
}

// round is the order of the n-th round: indices of Songs.
func (p *Playlist) round(n uint64) []int {
	if p.Shuffle {
		return rand.New(rand.NewPCG(p.Seed, n)).Perm(len(p.Songs))
	}
	order := make([]int, len(p.Songs))
	for i := range order {
		order[i] = i
	}
	return order
}

// listed is the next song of the playlist that can be played and does not wait in the queue, and how many places are
// done after it. It looks through the rest of this round and through the whole next one, so at every song.
func (s State) listed() (song string, place uint64, found bool) {
	p := s.Playlist
	if p == nil {
		return "", 0, false
	}
	n := uint64(len(p.Songs))
	var order []int
	for place := p.Place; place < (p.Place/n+2)*n; place++ {
		if order == nil || place%n == 0 {
			order = p.round(place / n)
		}
		song := p.Songs[order[place%n]]
		if s.missing(song) == "" && !s.waits(song) {
			return song, place + 1, true
		}
	}
	return "", 0, false
}
