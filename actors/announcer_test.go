package actors

import (
	"testing"

	"conga/actors/pacer/place"
	"conga/actors/scheduler"
)

// News tell a song that somebody without a name has asked for from one that chance chose.
func TestAnnouncer_WhoAsked(t *testing.T) {
	on := place.State{Song: &place.Started{Name: "bach.mp3"}}
	for _, test := range []struct {
		chosen scheduler.Chosen
		want   string
	}{
		{scheduler.Chosen{Request: scheduler.Request{Song: "bach.mp3"}}, ""},
		{scheduler.Chosen{Request: scheduler.Request{Song: "bach.mp3", Listener: "amy"}, Asked: true}, "amy"},
		{scheduler.Chosen{Request: scheduler.Request{Song: "bach.mp3"}, Asked: true}, Somebody},
		{scheduler.Chosen{Request: scheduler.Request{Song: "pachelbel.mp3", Listener: "amy"}, Asked: true}, ""}, // the next one
	} {
		if got := playing(scheduler.State{Playing: &test.chosen}, on).GetListenerName(); got != test.want {
			t.Errorf("%+v: asked for by %q, want %q", test.chosen, got, test.want)
		}
	}
}

// Listeners are told why no song is on; as long as one is, nobody needs to know that the songs are away.
func TestPlaying_Away(t *testing.T) {
	away := scheduler.State{Away: "the songs folder cannot be read"}
	if news := playing(away, place.State{}); news.GetAway() != away.Away || news.GetSong() != nil {
		t.Errorf("told %v", news)
	}
	if news := playing(away, place.State{Song: &place.Started{Name: "bach.mp3"}}); news.GetAway() != "" || news.GetSong().GetName() != "bach.mp3" {
		t.Errorf("told %v", news)
	}
	if news := playing(scheduler.State{}, place.State{}); news.GetAway() != "" {
		t.Errorf("told %v", news)
	}
}
