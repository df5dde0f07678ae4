package actors

import (
	"context"
	"fmt"
	"time"

	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// root spawns its children, in order, and does nothing else.
type root struct {
	children []child
	started  chan error // has room for the one answer
}

type child struct {
	name  string
	props *actor.Props
}

// Receive spawns the children.
func (r *root) Receive(ctx actor.Context) {
	if _, started := ctx.Message().(*actor.Started); started {
		r.started <- r.spawn(ctx)
	}
}

func (r *root) spawn(ctx actor.Context) error {
	for _, c := range r.children {
		if _, err := ctx.SpawnNamed(c.props, c.name); err != nil {
			return fmt.Errorf("spawn %s: %w", c.name, err)
		}
	}
	return nil
}

// stopsBroken is the strategy of actors whose children are connections: a connection that panics is stopped.
// Its parent was told before, and makes another.
var stopsBroken = actor.WithSupervisor(actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.StopDirective }))

// tree is a running supervision tree.
type tree struct {
	system *actor.ActorSystem
	shared bool // other trees grow in the system, too: stop leaves it
	name   string
	pid    *actor.PID
}

// start returns when all children can be reached: what is sent to one before that is lost.
func (t *tree) start(children ...child) error {
	r := &root{children, make(chan error, 1)}
	props := actor.PropsFromProducer(func() actor.Actor { return r }, actor.WithSupervisor(newBackoff()))
	pid, err := t.system.Root.SpawnNamed(props, t.name)
	if err != nil {
		return err
	}
	t.pid = pid
	if err := <-r.started; err != nil {
		t.stop()
		return err
	}
	return nil
}

// of returns the child's address; it is valid before the child runs.
func (t *tree) of(name string) *actor.PID {
	return t.system.NewLocalPID(t.name + "/" + name)
}

func (t *tree) tell(name string, message any) {
	t.system.Root.Send(t.of(name), message)
}

// stop ends all actors, children first, and waits for them.
func (t *tree) stop() {
	_ = t.system.Root.StopFuture(t.pid).Wait() // on an error an actor hangs, and nothing can be done
	if !t.shared {
		t.system.Shutdown()
	}
}

// lookTakes is the longest wait for an answer to Look: people ask for a dump because something is wrong,
// and the dump must not hang with it.
const lookTakes = 2 * time.Second

// look asks the named actors for their views. It is an error if one does not answer within lookTakes
// or before ctx ends, because it is being restarted or waits for the disk.
func (t *tree) look(ctx context.Context, names ...string) (map[string]messages.View, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTakes)
	defer cancel()
	views := make(map[string]messages.View, len(names))
	reply := make(chan messages.View, len(names))
	for _, name := range names {
		t.tell(name, &messages.Look{Reply: reply})
	}
	for range names {
		select {
		case view := <-reply:
			views[view.Actor] = view
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return views, nil
}

// Dump is what a node knows of itself.
type Dump struct {
	// Node is the node's name.
	Node string `json:"node"`
	// Event is the number of the last event that State reflects.
	Event uint64 `json:"event"`
	// State is all that follows from the node's log.
	State any `json:"state"`
	// Live is the rest, by actor.
	Live map[string]any `json:"live"`
}
