package demo

import (
	"slices"
	"testing"
	"time"

	"conga/actors/player"
	"conga/messages"
)

// News comes before the song is heard: until then the old one is on.
func TestProgramme_TurnsWhenHeard(t *testing.T) {
	start := time.Now().Add(-10 * time.Second)
	song := func(name string, at time.Duration, queue ...string) *messages.Playing {
		return &messages.Playing{
			Song:         &messages.Song{Name: name, DurationUs: 30e6},
			PlayAtUnixUs: start.Add(at).UnixMicro(), Queue: queue,
		}
	}
	var p programme
	if s := p.at(start); s.Song != "" || s.Queue != nil {
		t.Errorf("before any news: %+v", s)
	}
	p.add(song("bach.mp3", 0, "pachelbel.mp3"))
	p.add(song("pachelbel.mp3", 30*time.Second))
	for _, test := range []struct {
		at      time.Duration
		song    string
		elapsed time.Duration
	}{
		{29 * time.Second, "bach.mp3", 29 * time.Second},
		{30 * time.Second, "pachelbel.mp3", 0},
		{34 * time.Second, "pachelbel.mp3", 4 * time.Second},
	} {
		s := p.at(start.Add(test.at))
		if s.Song != test.song || s.Elapsed.Round(time.Millisecond) != test.elapsed {
			t.Errorf("after %v: %s since %v", test.at, s.Song, s.Elapsed)
		}
		if len(s.Queue) != 0 {
			t.Errorf("after %v the queue is an old one: %v", test.at, s.Queue)
		}
	}
	p.add(song("pachelbel.mp3", 30*time.Second, "bach.mp3")) // somebody asked
	if s := p.at(start.Add(35 * time.Second)); !slices.Equal(s.Queue, []string{"bach.mp3"}) || s.Song != "pachelbel.mp3" {
		t.Errorf("asked for in mid-song: %+v", s)
	}
}

// The server has sent a song two seconds before its end is heard, and says so: it is on until then.
func TestProgramme_SentAndNotOver(t *testing.T) {
	start := time.Now().Add(-10 * time.Second)
	song := func(name string, at time.Duration) *messages.Playing {
		return &messages.Playing{Song: &messages.Song{Name: name, DurationUs: 10e6}, PlayAtUnixUs: start.Add(at).UnixMicro()}
	}
	on := func(p *programme, after time.Duration) string { return p.at(start.Add(after)).Song }
	var p programme
	p.add(song("bach.mp3", 5*time.Second))
	p.add(&messages.Playing{Queue: []string{"pachelbel.mp3"}}) // between two songs
	if s := p.at(start.Add(14 * time.Second)); s.Song != "bach.mp3" || !slices.Equal(s.Queue, []string{"pachelbel.mp3"}) {
		t.Errorf("sent, but not over: %+v", s)
	}
	p.add(song("pachelbel.mp3", 15*time.Second))
	if got := on(&p, 15*time.Second-time.Millisecond); got != "bach.mp3" {
		t.Errorf("the next is known, its time has not come: %q", got)
	}
	if got := on(&p, 15*time.Second); got != "pachelbel.mp3" {
		t.Errorf("the next: %q", got)
	}
	p.add(&messages.Playing{}) // the folder is empty
	if got := on(&p, 24*time.Second); got != "pachelbel.mp3" {
		t.Errorf("sent, but not over: %q", got)
	}
	if got := on(&p, 26*time.Second); got != "" {
		t.Errorf("over: %q", got)
	}
}

// Where the music is heard is said of what the player does, not of what it was told.
func TestDemo_WhereHeard(t *testing.T) {
	for _, test := range []struct {
		output string
		live   player.Live
		want   string
	}{
		{"speaker", player.Live{Output: "speaker", HeardNumber: 3}, "on the loudspeaker"},
		{"speaker", player.Live{Output: "speaker"}, "the loudspeaker is being opened"},
		{"speaker", player.Live{Output: "null", HeardNumber: 3}, "the loudspeaker is being opened"},
		{"speaker", player.Live{Output: "null", HeardNumber: 3, Silenced: "no card"}, "no card"},
		{"wav:a.wav", player.Live{Output: "wav:a.wav", HeardNumber: 3}, "into wav:a.wav"},
	} {
		if got := whereHeard(test.live, test.output); got != test.want {
			t.Errorf("--output %s, %+v: %q, want %q", test.output, test.live, got, test.want)
		}
	}
}
