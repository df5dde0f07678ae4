package chainmanager

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"conga/actors/chainmanager/chain"
	"conga/actors/eventlog"
	"conga/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// blind is a store that cannot be read for a while.
type blind struct {
	eventlog.Store
	is atomic.Bool
}

func (b *blind) Read(after uint64, limit int, part eventlog.Part) ([]eventlog.Row, error) {
	if b.is.Load() {
		return nil, errors.New("input/output error")
	}
	return b.Store.Read(after, limit, part)
}

func (*blind) Close() error { return nil }

// full is a store that cannot be written for a while.
type full struct {
	eventlog.Store
	is atomic.Bool
}

func (f *full) Append(after uint64, rows []eventlog.Row) error {
	if f.is.Load() {
		return errors.New("no space left on device")
	}
	return f.Store.Append(after, rows)
}

func (*full) Close() error { return nil }

func node(id string) *messages.Node { return &messages.Node{Id: id, Name: id, Relay: id + ":1"} }

// office is a chain manager at work, inside a synctest bubble.
type office struct {
	t      *testing.T
	log    *eventlog.Log
	system *actor.ActorSystem
	pid    *actor.PID
	desk   *actor.PID // stands where the request connections do, and asks
	heard  chan any

	roll    *messages.Roll           // of those who are there
	members atomic.Pointer[[]string] // ids, as told last, sorted
}

func openLog(t *testing.T, store eventlog.Store) *eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func open(t *testing.T, log *eventlog.Log) *office {
	t.Helper()
	return openOn(t, log, func(*Config) {})
}

// openWith opens one on a new log.
func openWith(t *testing.T, change func(*Config)) *office {
	t.Helper()
	return openOn(t, openLog(t, eventlog.NewMemory()), change)
}

// memoryWith is a store in which this has happened.
func memoryWith(t *testing.T, events ...proto.Message) eventlog.Store {
	t.Helper()
	store := &blind{Store: eventlog.NewMemory()}
	if len(events) > 0 {
		keep(t, store, events...)
	}
	return store
}

func openOn(t *testing.T, log *eventlog.Log, change func(*Config)) *office {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	o := &office{t: t, log: log, heard: make(chan any, 100), system: actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)}
	o.desk = o.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch msg := ctx.Message().(type) {
		case *messages.Welcome, *messages.Neighbours:
			o.heard <- msg
		case *messages.CallRoll:
			if o.roll != nil { // else the port does not run yet
				ctx.Respond(o.roll)
			}
		}
	}))
	cfg := Config{
		Log: log, Links: func() *actor.PID { return o.desk }, Now: time.Now,
		Members: o.stand,
	}
	change(&cfg)
	props := Props(cfg)
	backoff := actor.WithSupervisor(actor.NewExponentialBackoffStrategy(10*time.Second, 100*time.Millisecond))
	o.pid = o.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if _, is := ctx.Message().(*actor.Started); is {
			ctx.Spawn(props)
		} else if len(ctx.Children()) > 0 {
			ctx.Forward(ctx.Children()[0])
		}
	}, backoff))
	return o
}

// stand hears who stands in the chain.
func (o *office) stand(changed map[string]messages.Standing, all bool) {
	stand := map[string]bool{}
	if before := o.members.Load(); before != nil && !all {
		for _, id := range *before {
			stand[id] = true
		}
	}
	for id, standing := range changed {
		if stand[id] = true; standing == messages.StandingOutside {
			delete(stand, id)
		}
	}
	ids := slices.Sorted(maps.Keys(stand))
	o.members.Store(&ids)
}

func (o *office) close() {
	o.t.Helper()
	for _, pid := range []*actor.PID{o.pid, o.desk} {
		if err := o.system.Root.StopFuture(pid).Wait(); err != nil {
			o.t.Error(err)
		}
	}
	o.system.Shutdown()
	time.Sleep(2 * time.Millisecond) // the library's dead letter throttle ends by the bubble's clock only
	if err := o.log.Close(); err != nil {
		o.t.Error(err)
	}
}

// say sends the message and returns what was told in consequence, as "welcome" or as
// the listener and its upstream, "bob below amy".
func (o *office) say(message proto.Message) []string {
	o.t.Helper()
	o.system.Root.RequestWithCustomSender(o.pid, message, o.desk)
	if _, lost := message.(*messages.PeerLost); lost {
		time.Sleep(2 * Together) // virtual: losses wait for others
	}
	return o.told()
}

func (o *office) told() []string {
	synctest.Wait()
	var told []string
	for {
		select {
		case m := <-o.heard:
			if n, is := m.(*messages.Neighbours); is {
				told = append(told, n.GetId()+" below "+n.GetAncestors()[0].GetId())
			} else {
				told = append(told, "welcome")
			}
		default:
			return told
		}
	}
}

func (o *office) want(got []string, want ...string) {
	o.t.Helper()
	if len(got) != len(want) {
		o.t.Fatalf("told %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			o.t.Fatalf("told %q, want %q", got, want)
		}
	}
}

func keep(t *testing.T, store eventlog.Store, events ...proto.Message) {
	t.Helper()
	if _, err := openLog(t, store).Append(eventlog.Any, "test", nil, events...); err != nil {
		t.Fatal(err)
	}
}

// Each is told what concerns it and no more; one that comes back on a new connection is
// told again.
func TestChainManager_Tells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, openLog(t, eventlog.NewMemory()))
		defer o.close()
		o.want(o.say(&messages.JoinChain{Node: node("amy")}), "welcome", "amy below server")
		o.want(o.say(&messages.JoinChain{Node: node("bob")}), "welcome", "amy below server", "bob below amy")
		o.want(o.say(&messages.JoinChain{Node: node("cem")}), "welcome", "amy below server", "bob below amy", "cem below bob") // amy has a guest more
		o.want(o.say(&messages.JoinChain{Node: node("amy")}), "welcome", "amy below server")
		o.want(o.say(&messages.PeerLost{Id: "bob", SeenBy: messages.ServerID}), "amy below server", "cem below amy")
		o.want(o.say(&messages.PeerLost{Id: "bob", SeenBy: messages.ServerID}))
		o.want(o.say(&messages.LeaveChain{Id: "amy"}), "cem below server")
	})
}

// Half of all go in the same moment: that is one commit, and nobody is told of a chain that
// is half mended.
func TestChainManager_OneRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := openLog(t, eventlog.NewMemory())
		o := open(t, log)
		defer o.close()
		for _, name := range []string{"amy", "bob", "cem", "dora", "emil", "fay"} {
			o.say(&messages.JoinChain{Node: node(name)})
		}
		before := log.Last()
		o.system.Root.Send(o.pid, &messages.PeerLost{Id: "bob", SeenBy: messages.ServerID})
		o.system.Root.Send(o.pid, &messages.PeerLost{Id: "dora", SeenBy: messages.ServerID})
		o.want(o.say(&messages.PeerLost{Id: "cem", SeenBy: messages.ServerID}), "amy below server", "emil below amy", "fay below emil")
		var causes []proto.Message
		for record, err := range log.Since(before) {
			if err != nil {
				t.Fatal(err)
			}
			if record.Cause != nil {
				causes = append(causes, record.Cause)
			}
		}
		if len(causes) != 1 {
			t.Errorf("%d commits, want one: %v", len(causes), causes)
		}
		// One that is lost and back at once stands at the tail, and stays.
		o.system.Root.Send(o.pid, &messages.PeerLost{Id: "amy", SeenBy: messages.ServerID})
		o.want(o.say(&messages.JoinChain{Node: node("amy")}), "welcome", "emil below server", "fay below emil", "amy below fay")
	})
}

// Those who come while the chain manager is busy are one commit, and so one sync of the disk. Who says goodbye
// behind its join has left.
func TestChainManager_OneCommitForMany(t *testing.T) {
	const many = 30
	synctest.Test(t, func(t *testing.T) {
		disk := memoryWith(t)
		o := open(t, openLog(t, disk))
		defer o.close()
		before := o.log.Last()
		busy := make(chan *messages.Node)
		o.system.Root.Send(o.pid, &messages.FindFeeder{Reply: busy})
		for n := range many {
			o.system.Root.RequestWithCustomSender(o.pid, &messages.JoinChain{Node: node(fmt.Sprint("n", n)), Address: fmt.Sprint(n)}, o.desk)
		}
		o.system.Root.Send(o.pid, &messages.LeaveChain{Id: "n7"})
		synctest.Wait() // until all have come
		<-busy
		welcomed := 0
		for _, told := range o.told() {
			if told == "welcome" {
				welcomed++
			}
		}
		if welcomed != many {
			t.Errorf("%d of %d are welcome", welcomed, many)
		}
		rows, err := disk.Read(before, many, eventlog.Whole)
		if err != nil || rows[0].Of != many {
			t.Errorf("%d came in one commit, want %d: %v", rows[0].Of, many, err)
		}
		reply := make(chan messages.View, 1)
		o.system.Root.Send(o.pid, &messages.Look{Reply: reply})
		line := (<-reply).State.(chain.State).Chain
		if _, stays := line.Find("n7"); stays || line.Len() != many-1 || line.Compare("n3", "n20") >= 0 {
			t.Errorf("there are %d; n7 stays: %v", line.Len(), stays)
		}
	})
}

// Whom a listener misses and the server, too, is dead: it is not moved first.
func TestChainManager_MissedByBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := openLog(t, eventlog.NewMemory())
		o := open(t, log)
		defer o.close()
		for _, name := range []string{"amy", "bob", "cem", "dora"} {
			o.say(&messages.JoinChain{Node: node(name)})
		}
		o.system.Root.Send(o.pid, &messages.PeerLost{Id: "bob", SeenBy: "cem", Fault: messages.Fault_FAULT_SILENT})
		o.want(o.say(&messages.PeerLost{Id: "bob", SeenBy: messages.ServerID}), "amy below server", "cem below amy", "dora below cem")
		for record, err := range log.Since(0) {
			if err != nil {
				t.Fatal(err)
			}
			if moved, is := record.Event.(*messages.ListenerMoved); is {
				t.Errorf("%v", moved)
			}
		}
		o.want(o.say(&messages.PeerLost{Id: "cem", SeenBy: "dora", Fault: messages.Fault_FAULT_SILENT}), "amy below server", "dora below amy", "cem below dora")
	})
}

// A newcomer in the same moment must not wait for the repair, nor is it a reason to move those
// who are missed.
func TestChainManager_JoinBeforeRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, openLog(t, eventlog.NewMemory()))
		defer o.close()
		for _, name := range []string{"amy", "bob", "cem"} {
			o.say(&messages.JoinChain{Node: node(name)})
		}
		o.system.Root.Send(o.pid, &messages.PeerLost{Id: "amy", SeenBy: "bob", Fault: messages.Fault_FAULT_SILENT})
		o.want(o.say(&messages.JoinChain{Node: node("dora")}), "welcome", "amy below server", "bob below amy", "cem below bob", "dora below cem")
		time.Sleep(2 * Together)
		o.want(o.told(), "bob below server", "cem below bob", "dora below cem", "amy below dora")
	})
}

// After the server's restart those who do not come back within five seconds are taken
// out; one who does stays where it was.
func TestChainManager_Restart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &blind{Store: eventlog.NewMemory()}
		keep(t, store,
			&messages.ListenerJoined{Node: node("amy"), After: messages.ServerID},
			&messages.ListenerJoined{Node: node("bob"), After: "amy"},
			&messages.BroadcastOpened{Epoch: 2})
		o := open(t, openLog(t, store))
		defer o.close()
		o.want(o.told())                        // nobody is there who could be told
		o.want(*o.members.Load(), "amy", "bob") // they may ask the server for music before they have said HELLO again
		time.Sleep(returnWithin - time.Millisecond)
		o.want(o.say(&messages.JoinChain{Node: node("bob")}), "welcome", "bob below amy")
		time.Sleep(time.Millisecond)
		o.want(o.told(), "bob below server")
		o.want(*o.members.Load(), "bob")
		o.say(&messages.LeaveChain{Id: "bob"})
		o.want(*o.members.Load())
	})
}

// What is said once, while the disk is full, is not forgotten: a goodbye, a loss.
func TestChainManager_LogUnwritable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &full{Store: eventlog.NewMemory()}
		o := open(t, openLog(t, store))
		defer o.close()
		for _, name := range []string{"amy", "bob", "cem", "dora"} {
			o.say(&messages.JoinChain{Node: node(name)})
		}
		o.roll = &messages.Roll{Here: []string{"dora"}, Left: []string{"amy", "bob"}}
		store.is.Store(true)
		o.system.Root.Send(o.pid, &messages.LeaveChain{Id: "bob"})
		o.system.Root.Send(o.pid, &messages.LeaveChain{Id: "amy"})
		o.system.Root.Send(o.pid, &messages.PeerLost{Id: "cem", SeenBy: messages.ServerID})
		time.Sleep(3 * time.Second)
		o.told() // at each restart, what the log has
		store.is.Store(false)
		time.Sleep(20 * time.Second)
		told := o.told()
		if len(told) == 0 || told[len(told)-1] != "dora below server" {
			t.Errorf("told %q: who has gone is still there", told)
		}
		causes := map[string]messages.ListenerLeft_Cause{}
		for record, err := range o.log.Since(0) {
			if err != nil {
				t.Fatal(err)
			}
			if left, is := record.Event.(*messages.ListenerLeft); is {
				causes[left.GetId()] = left.GetCause()
			}
		}
		said, lost := messages.ListenerLeft_CAUSE_SAID_SO, messages.ListenerLeft_CAUSE_LOST
		if want := map[string]messages.ListenerLeft_Cause{"amy": said, "bob": said, "cem": lost}; !maps.Equal(causes, want) {
			t.Errorf("they left because of %v, want %v", causes, want)
		}
	})
}

// The log cannot be read when the actor starts: it tries again until it can, and can be
// stopped meanwhile.
func TestChainManager_LogUnreadable(t *testing.T) {
	for _, heals := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			store := &blind{Store: eventlog.NewMemory()}
			keep(t, store, &messages.ListenerJoined{Node: node("amy"), After: messages.ServerID})
			log := openLog(t, store)
			store.is.Store(true)
			o := open(t, log)
			defer o.close()
			time.Sleep(3 * time.Second)
			o.want(o.told())
			if !heals {
				return
			}
			store.is.Store(false)
			time.Sleep(3 * time.Second)
			o.want(o.told(), "amy below server")
		})
	}
}
