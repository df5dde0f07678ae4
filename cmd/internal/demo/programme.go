package demo

import (
	"sync"
	"time"

	"conga/cmd/internal/screen"
	"conga/messages"
)

// programme is what plays and what comes, as the news told it. News of a song comes
// before it is heard, by the slack; so does the news that nothing more is sent of one.
type programme struct {
	mu       sync.Mutex
	on, next *messages.Playing // nil: none
	queue    []string
}

func (p *programme) add(news *messages.Playing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(time.Now())
	p.queue = news.GetQueue()
	if news.GetSong() != nil {
		p.next = news
	}
}

// turn lets the next song be the one that is on, if its time has come, and ends the one that
// is over.
func (p *programme) turn(now time.Time) {
	if p.next != nil && p.next.GetPlayAtUnixUs() <= now.UnixMicro() {
		p.on, p.next = p.next, nil
	}
	if p.on != nil && p.next == nil && p.on.GetPlayAtUnixUs()+p.on.GetSong().GetDurationUs() <= now.UnixMicro() {
		p.on = nil
	}
}

// at is the song that is heard at now, and the queue as last told.
func (p *programme) at(now time.Time) screen.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	s := screen.Snapshot{Queue: p.queue}
	if p.on != nil {
		s.Song, s.Title, s.Artist = p.on.GetSong().GetName(), p.on.GetSong().GetTitle(), p.on.GetSong().GetArtist()
		s.Asked = p.on.GetListenerName()
		s.Duration = time.Duration(p.on.GetSong().GetDurationUs()) * time.Microsecond
		s.Elapsed = now.Sub(time.UnixMicro(p.on.GetPlayAtUnixUs()))
	}
	return s
}
