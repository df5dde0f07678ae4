package actors

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/actors/eventlog"
	"conga/actors/pacer/place"
	"conga/actors/scheduler/queue"
	"conga/messages"
)

// News tell a song that somebody without a name has asked for from one that chance chose.
func TestAnnouncer_WhoAsked(t *testing.T) {
	on := place.State{Song: &place.Started{Name: "bach.mp3"}}
	for _, test := range []struct {
		chosen queue.Chosen
		want   string
	}{
		{queue.Chosen{Request: queue.Request{Song: "bach.mp3"}}, ""},
		{queue.Chosen{Request: queue.Request{Song: "bach.mp3", Listener: "amy"}, Asked: true}, "amy"},
		{queue.Chosen{Request: queue.Request{Song: "bach.mp3"}, Asked: true}, Somebody},
		{queue.Chosen{Request: queue.Request{Song: "pachelbel.mp3", Listener: "amy"}, Asked: true}, ""}, // the next one
	} {
		if got := playing(queue.State{Playing: &test.chosen}, on).GetListenerName(); got != test.want {
			t.Errorf("%+v: asked for by %q, want %q", test.chosen, got, test.want)
		}
	}
}

// Listeners are told why no song is on; as long as one is, nobody needs to know that the songs are away.
func TestPlaying_Away(t *testing.T) {
	away := queue.State{Away: "the songs folder cannot be read"}
	if news := playing(away, place.State{}); news.GetAway() != away.Away || news.GetSong() != nil {
		t.Errorf("told %v", news)
	}
	if news := playing(away, place.State{Song: &place.Started{Name: "bach.mp3"}}); news.GetAway() != "" || news.GetSong().GetName() != "bach.mp3" {
		t.Errorf("told %v", news)
	}
	if news := playing(queue.State{}, place.State{}); news.GetAway() != "" {
		t.Errorf("told %v", news)
	}
}

// A scheduler that fails while it is asked does not answer. The announcer asks again, so that the news comes; and what
// happens while it waits for an answer is in the news, too.
func TestAnnouncer_NoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, err := eventlog.Open(eventlog.NewMemory(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		system := actor.NewActorSystem()
		asked, told := make(chan *actor.PID, 9), make(chan *messages.Playing, 9)
		announcer := system.Root.Spawn(announcerProps(log,
			func(ctx actor.Context) { asked <- ctx.Self() }, func(actor.Context, string) {},
			func(news *messages.Playing) { told <- news }))
		defer func() {
			_ = system.Root.StopFuture(announcer).Wait()
			system.Shutdown()
		}()
		<-asked // and nobody answers
		began := time.Now()
		system.Root.Send(<-asked, queue.State{Away: "the first"})
		if news := <-told; news.GetAway() != "the first" || time.Since(began) != askQueueAgain {
			t.Errorf("after %v: %v", time.Since(began), news)
		}
		for range 3 {
			system.Root.Send(announcer, &messages.SongQueued{Song: "bach.mp3"})
		}
		system.Root.Send(<-asked, queue.State{Away: "the second"})
		<-told
		system.Root.Send(<-asked, queue.State{Away: "the last"})
		if news := <-told; news.GetAway() != "the last" {
			t.Errorf("told %v", news)
		}
		system.Root.Send(announcer, &messages.SongChosen{Song: "bach.mp3"})
		system.Root.Send(<-asked, queue.State{Away: "the last"}) // nothing is new
		synctest.Wait()
		if len(asked)+len(told) > 0 {
			t.Errorf("asked %d times more than needed, told %d times", len(asked), len(told))
		}
	})
}
