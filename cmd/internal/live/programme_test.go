package live

import (
	"fmt"
	"testing"
	"time"

	"conga/messages"
)

// song is the news of a song of 30 s that begins to be heard at this second.
func song(name, asked string, at int64, queue ...*messages.Coming) *messages.Playing {
	return &messages.Playing{
		Song: &messages.Song{Name: name, DurationUs: 30e6}, PlayAtUnixUs: at * 1e6, ListenerName: asked, Queue: queue,
	}
}

func coming(name string, seconds int64) *messages.Coming {
	return &messages.Coming{Song: &messages.Song{Name: name, DurationUs: seconds * 1e6}, ListenerName: "amy"}
}

// The news of a song comes before the song is heard, and the news of its end before it is over. Until then the old song is
// on.
func TestProgramme_WhenHeard(t *testing.T) {
	var p Programme
	if s := p.At(5e6); s.Song != "" || s.Queue != nil {
		t.Errorf("before any news: %+v", s)
	}
	p.Add(song("bach.mp3", "", 10))
	p.Add(&messages.Playing{}) // the whole song has been sent
	p.Add(song("pachelbel.mp3", "bob", 40))
	p.Add(song("pachelbel.mp3", "bob", 40)) // somebody has asked for another
	for _, test := range []struct {
		at      int64
		song    string
		elapsed time.Duration
	}{
		{9, "", 0},
		{10, "bach.mp3", 0},
		{39, "bach.mp3", 29 * time.Second},
		{40, "pachelbel.mp3", 0},
		{69, "pachelbel.mp3", 29 * time.Second},
		{70, "", 0}, // nothing more came
	} {
		if s := p.At(test.at * 1e6); s.Song != test.song || s.Elapsed != test.elapsed {
			t.Errorf("at %d s: %q since %v", test.at, s.Song, s.Elapsed)
		}
	}
	if p.Asked("pachelbel.mp3", 40e6) != "bob" || p.Asked("bach.mp3", 10e6) != "" || p.Asked("bach.mp3", 40e6) != "" {
		t.Error("who asked for what?")
	}
}

// A song that breaks off is over when the next begins.
func TestProgramme_BreaksOff(t *testing.T) {
	var p Programme
	p.Add(song("bach.mp3", "", 10))
	p.Add(song("pachelbel.mp3", "", 20))
	if s := p.At(21e6); s.Song != "pachelbel.mp3" {
		t.Errorf("%q is on", s.Song)
	}
}

// When a song comes follows from the songs before it. After one of unknown length it is not known.
func TestProgramme_Coming(t *testing.T) {
	var p Programme
	p.Add(song("bach.mp3", "", 10, coming("a", 20), coming("b", 0), coming("c", 5)))
	got := ""
	for _, q := range p.At(15e6).Queue {
		got += fmt.Sprintf("%s by %s in %v; ", q.Song, q.Asked, q.In.Seconds())
	}
	if want := "a by amy in 25; b by amy in 45; c by amy in -1e-09; "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	p.Add(&messages.Playing{Queue: []*messages.Coming{coming("a", 20)}})
	if q := p.At(100e6).Queue; len(q) != 1 || q[0].In != 0 {
		t.Errorf("overdue: %+v", q)
	}
}

// A server cannot make a listener remember songs without end.
func TestProgramme_Bounded(t *testing.T) {
	var p Programme
	queue := make([]*messages.Coming, 1000)
	for i := range int64(1000) {
		queue[i] = coming("x", 1)
		p.Add(song(fmt.Sprint(i), "", i, queue[:i]...))
	}
	if len(p.songs) > mostSongs || len(p.queue) > mostComing {
		t.Errorf("%d songs, %d in the queue", len(p.songs), len(p.queue))
	}
}

// While the songs are away nothing is broadcast. The screen says so once everything that was sent before has been heard.
func TestProgramme_Away(t *testing.T) {
	var p Programme
	p.Add(song("bach.mp3", "", 10))
	p.Add(&messages.Playing{Away: "there is no folder"})
	if s := p.At(39e6); s.Away != "" || s.Song == "" || p.Away() == "" {
		t.Errorf("the song is on: %+v", s)
	}
	if s := p.At(41e6); s.Away != "there is no folder" {
		t.Errorf("it is over: %+v", s)
	}
	p.Add(song("pachelbel.mp3", "", 60))
	if s := p.At(50e6); s.Away != "" || p.Away() != "" {
		t.Errorf("the next one comes: %+v", s)
	}
}
