package scheduler

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/actors/eventlog"
	"conga/messages"
)

// Answers take account of what other actors have just put into the log: a new song is found by its title at once, not
// only after the next request.
func TestScheduler_AnswersFromTheNewestEvent(t *testing.T) {
	log, err := eventlog.Open(eventlog.NewMemory(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	system := actor.NewActorSystem()
	pid := system.Root.Spawn(Props(Config{Log: log}))
	defer func() {
		_ = system.Root.StopFuture(pid).Wait()
		system.Shutdown()
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	ask := func(question any) any {
		answer, err := system.Root.RequestFuture(pid, question, time.Minute).Result()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	ask(&messages.AskLibrary{}) // it is there
	if _, err := log.Append(eventlog.Any, "catalog", nil, &messages.SongAdded{Song: &messages.Song{Name: "b.mp3", Title: "Ode to Joy"}}); err != nil {
		t.Fatal(err)
	}
	if meant := ask(&messages.AskLibrary{}).(messages.Library).Mean("ode to joy"); meant.Song != "b.mp3" {
		t.Errorf("it means %+v", meant)
	}
}
