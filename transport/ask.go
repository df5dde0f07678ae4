package transport

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// askPatience is how long an actor may take to answer; an actor that restarts has lost
// the question.
const askPatience = 5 * time.Second

var errNoAnswer = errors.New("no answer")

// ask sends question to an actor and waits for its answer in the caller's goroutine. Every
// question has its own asker, so a late answer can never be taken for the answer to the next
// question.
func ask(life context.Context, root *actor.RootContext, to *actor.PID, question any) (any, error) {
	if to == nil {
		return nil, errNoAnswer
	}
	answers := make(chan any, 1)
	asker := root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch msg := ctx.Message().(type) {
		case *actor.Started, *actor.Stopping, *actor.Stopped, *actor.Restarting:
		default:
			select {
			case answers <- msg:
			default: // only the first counts
			}
		}
	}))
	defer root.Stop(asker)
	root.RequestWithCustomSender(to, question, asker)
	wait := time.NewTimer(askPatience)
	defer wait.Stop()
	select {
	case answer := <-answers:
		if _, dead := answer.(*actor.DeadLetterResponse); dead {
			return nil, errNoAnswer
		}
		return answer, nil
	case <-wait.C:
		return nil, errNoAnswer
	case <-life.Done():
		return nil, life.Err()
	}
}
