package live

import (
	"sync"
	"time"

	"conga/cmd/internal/screen"
	"conga/messages"
)

// Programme is what plays and what comes next, according to the news. The news of a song comes before the song is
// heard, by the slack, and so does the news of its end.
type Programme struct {
	mu    sync.Mutex
	songs []*messages.Playing // the newest last
	queue []*messages.Coming
	away  string // why no song is sent; empty: a song is sent
}

// mostSongs is more than the songs that are sent but not heard yet.
const mostSongs = 8

// mostComing bounds the songs that a server can make a listener remember.
const mostComing = 20

// Add takes news.
func (p *Programme) Add(news *messages.Playing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = news.GetQueue()
	p.queue = p.queue[:min(len(p.queue), mostComing)]
	p.away = news.GetAway()
	if news.GetSong() == nil {
		return
	}
	for i, known := range p.songs {
		if known.GetPlayAtUnixUs() == news.GetPlayAtUnixUs() && known.GetSong().GetName() == news.GetSong().GetName() {
			p.songs[i] = news
			return
		}
	}
	p.songs = append(p.songs, news)
	p.songs = p.songs[max(0, len(p.songs)-mostSongs):]
}

// Asked returns who asked for the song; "" if it was chosen at random.
func (p *Programme) Asked(name string, playAt int64) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.songs {
		if known.GetPlayAtUnixUs() == playAt && known.GetSong().GetName() == name {
			return known.GetListenerName()
		}
	}
	return ""
}

// Votes is how many want to skip the song, and how many must; needed 0: nobody can.
func (p *Programme) Votes(name string, playAt int64) (votes, needed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.songs {
		if known.GetPlayAtUnixUs() == playAt && known.GetSong().GetName() == name {
			return int(known.GetSkipVotes()), int(known.GetSkipNeeded())
		}
	}
	return 0, 0
}

// Away returns why no song is sent; "" if one is, or if there are none.
func (p *Programme) Away() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away
}

// At returns what is heard at now, in unix microseconds on the server's clock, and what comes when.
func (p *Programme) At(now int64) screen.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s screen.Snapshot
	for _, on := range p.songs {
		if on.GetPlayAtUnixUs() <= now && now < over(on) {
			s.Song, s.Title, s.Artist = on.GetSong().GetName(), on.GetSong().GetTitle(), on.GetSong().GetArtist()
			s.Asked, s.Duration = on.GetListenerName(), micros(on.GetSong().GetDurationUs())
			s.Elapsed = micros(now - on.GetPlayAtUnixUs())
			s.Votes, s.Needed = int(on.GetSkipVotes()), int(on.GetSkipNeeded())
		}
	}
	if s.Song == "" {
		s.Away = p.away
	}
	s.Queue = p.coming(now)
	return s
}

// coming returns the queue. After a song of unknown length the songs have no time.
func (p *Programme) coming(now int64) []screen.Queued {
	var begins int64 // unix µs; 0: not known
	if n := len(p.songs); n > 0 {
		begins = max(now, over(p.songs[n-1]))
	}
	var queue []screen.Queued
	for _, c := range p.queue {
		song := c.GetSong()
		q := screen.Queued{Song: song.GetName(), Title: song.GetTitle(), Artist: song.GetArtist(), Asked: c.GetListenerName(), In: -1}
		if begins > 0 {
			q.In = micros(begins - now)
			begins += song.GetDurationUs()
		}
		if song.GetDurationUs() <= 0 {
			begins = 0
		}
		queue = append(queue, q)
	}
	return queue
}

// over is when the song ends.
func over(news *messages.Playing) int64 {
	return news.GetPlayAtUnixUs() + news.GetSong().GetDurationUs()
}

func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }
