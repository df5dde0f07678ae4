package seed

import (
	"slices"
	"sync"

	"conga/messages"
)

// maxNews is how many songs a Names remembers: what plays, what played, what comes.
const maxNews = 8

// Names knows songs by the time at which they are to be heard, for sound says no more of
// its song than that. Its zero value is ready; any goroutine may call its methods.
type Names struct {
	mu   sync.Mutex
	news []*messages.Playing
}

// Add takes the server's news.
func (n *Names) Add(news *messages.Playing) {
	if news.GetSong() == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.news = append(slices.Clip(n.news), news)
	n.news = n.news[max(0, len(n.news)-maxNews):]
}

// change is the change of the song that the place belongs to, as far as it is known.
func (n *Names) change(at place) *messages.SongChange {
	c := &messages.SongChange{
		Number: at.song(), SampleRate: at.rate, PlayAtUnixUs: at.playAt,
		FramesPerChunk: messages.FramesPerChunk(at.rate),
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, news := range slices.Backward(n.news) {
		if song := news.GetSong(); news.GetPlayAtUnixUs() == at.playAt && song.GetSampleRate() == at.rate {
			c.Song, c.Title, c.Artist = song.GetName(), song.GetTitle(), song.GetArtist()
			c.DurationUs, c.Frames = song.GetDurationUs(), song.GetFrames()
			break
		}
	}
	return c
}
