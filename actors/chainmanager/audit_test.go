package chainmanager

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/actors/chainmanager/chain"
	"conga/actors/eventlog"
	"conga/messages"
)

// relayed stands where the connection to an audited node does: it sends the broadcast as the node
// would, every 104 ms a chunk.
type relayed struct {
	node  behaviour
	link  uint64
	items []*messages.Item
	at    int
}

type nextChunk struct{}

func (r *relayed) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		if r.node == nil { // nobody is there
			ctx.Send(ctx.Parent(), &messages.UpstreamClosed{Link: r.link, Reason: "connection refused", Fault: messages.Fault_FAULT_GONE})
			return
		}
		ctx.Send(ctx.Parent(), &messages.UpstreamOpened{Link: r.link, Answer: &messages.StreamOpened{}})
		ctx.Send(ctx.Self(), nextChunk{})
	case nextChunk:
		root, self, parent := ctx.ActorSystem().Root, ctx.Self(), ctx.Parent()
		seal := r.items[max(r.at, 1)].Seal
		if late, sent := r.node(r.at, 0, r.items[r.at]); sent != nil {
			time.AfterFunc(late, func() {
				root.Send(parent, &messages.UpstreamSeal{Link: r.link, Seal: seal})
				root.Send(parent, &messages.UpstreamItem{Link: r.link, Item: sent})
			})
		}
		if r.at++; r.at == len(r.items) {
			return
		}
		time.AfterFunc(messages.FrameOffset(4, 44100), func() { root.Send(self, nextChunk{}) })
	}
}

// audited is an office whose server looks at nodes that behave like that, by id.
func auditedOffice(t *testing.T, nodes map[string]behaviour, asked *[]string) *office {
	t.Helper()
	return openWith(t, func(cfg *Config) {
		cfg.Key = broadcastKey.Public().(ed25519.PublicKey)
		cfg.Auditor = &messages.Node{Id: "guest"}
		began := time.Now()
		cfg.Newest = func() uint64 { return uint64(time.Since(began) / messages.FrameOffset(4, 44100)) }
		cfg.Audit = func(link uint64, addr string, open *messages.OpenStream) *actor.Props {
			*asked = append(*asked, open.GetNode().GetId()+" asks "+addr)
			change, items := broadcast(t, time.Now().Add(messages.Slack-50*time.Millisecond), 100)
			return actor.PropsFromProducer(func() actor.Actor {
				return &relayed{node: nodes[open.GetUpstream()], link: link, items: append([]*messages.Item{change}, items...)}
			})
		}
	})
}

// The server looks at a node of which somebody complains. A liar feeds nobody any more; and who
// accuses an honest one is not believed for a while.
func TestChainManager_Audit(t *testing.T) {
	forges := func(n int, late time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
		if n == 9 {
			item = messages.NewChunk(item.Number, item.FirstFrame, []byte("a tone"))
		}
		return late, item
	}
	skips := func(n int, late time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
		if n == 9 {
			item = nil
		}
		return late, item
	}
	for _, c := range []struct {
		name string
		node behaviour
		said messages.Fault
		want string // the events that the look leads to
	}{
		{"sound", honestly, messages.Fault_FAULT_LYING, "ListenerAudited FAULT_UNSPECIFIED"},
		{"lies", forges, messages.Fault_FAULT_SILENT, "ListenerAudited FAULT_LYING"},
		{"gone", nil, messages.Fault_FAULT_LYING, "ListenerAudited FAULT_GONE"},
		{"skips", skips, messages.Fault_FAULT_SKIPPING, "ListenerAudited FAULT_SKIPPING"},
		{"misses what all miss", skips, messages.Fault_FAULT_SILENT, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []string
				o := auditedOffice(t, map[string]behaviour{"bob": c.node}, &asked)
				defer o.close()
				for _, id := range []string{"amy", "bob", "cem"} {
					o.say(&messages.JoinChain{Node: node(id), Address: id})
				}
				for range 5 { // said again and again it is one look
					o.say(&messages.PeerLost{Id: "bob", SeenBy: "cem", Fault: c.said, AtUnixUs: time.Now().UnixMicro()})
				}
				time.Sleep(2 * auditTakes)
				synctest.Wait()
				if !slices.Equal(asked, []string{"guest asks bob:1"}) {
					t.Errorf("looked: %q", asked)
				}
				found := ""
				for record, err := range o.log.Since(0) {
					if err != nil {
						t.Fatal(err)
					}
					if a, is := record.Event.(*messages.ListenerAudited); is {
						found += "ListenerAudited " + a.GetFault().String()
					}
				}
				if found != c.want {
					t.Errorf("found %q, want %q", found, c.want)
				}
			})
		})
	}
}

// everLater is behind by 50 ms more with each chunk.
func everLater(n int, late time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
	return late + time.Duration(n)*50*time.Millisecond, item
}

// Whoever is late because the one that feeds it is does not move, nor is its accuser believed less:
// the server looks further up, until it finds one that is late and hears in time.
func TestChainManager_AuditUpwards(t *testing.T) {
	mute := func(_ int, late time.Duration, _ *messages.Item) (time.Duration, *messages.Item) { return late, nil }
	for _, c := range []struct {
		name  string
		nodes map[string]behaviour // amy, bob, cem stand below each other; dora complains of cem
		asked []string
		found string
	}{
		{"its own fault", map[string]behaviour{"amy": honestly, "bob": honestly, "cem": everLater}, []string{"cem", "bob"}, "cem FAULT_SLOW"},
		{"bob's", map[string]behaviour{"amy": honestly, "bob": everLater, "cem": everLater}, []string{"cem", "bob", "bob", "amy"}, "bob FAULT_SLOW"},
		{"amy's, whom the server feeds", map[string]behaviour{"amy": everLater, "bob": everLater, "cem": everLater}, []string{"cem", "bob", "bob", "amy", "amy"}, "amy FAULT_SLOW"},
		{"amy is silent", map[string]behaviour{"amy": mute, "bob": mute, "cem": mute}, []string{"cem", "bob", "bob", "amy", "amy"}, "amy FAULT_STARVING"},
		{"amy has gone", map[string]behaviour{"bob": mute, "cem": mute}, []string{"cem", "bob", "bob", "amy", "amy"}, "amy FAULT_GONE"},
		{"it is in time", map[string]behaviour{"amy": everLater, "bob": everLater, "cem": honestly}, []string{"cem", "bob"}, "cem FAULT_UNSPECIFIED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []string
				o := auditedOffice(t, c.nodes, &asked)
				defer o.close()
				for _, id := range []string{"amy", "bob", "cem", "dora"} {
					o.say(&messages.JoinChain{Node: node(id), Address: id})
				}
				o.say(&messages.PeerLost{Id: "cem", SeenBy: "dora", Fault: messages.Fault_FAULT_SLOW, AtUnixUs: time.Now().UnixMicro()})
				time.Sleep(4 * auditTakes)
				synctest.Wait()
				var want []string
				for _, id := range c.asked {
					want = append(want, "guest asks "+id+":1")
				}
				if !slices.Equal(asked, want) {
					t.Errorf("looked: %q, want %q", asked, want)
				}
				var found, moved []string
				for record, err := range o.log.Since(0) {
					if err != nil {
						t.Fatal(err)
					}
					switch e := record.Event.(type) {
					case *messages.ListenerAudited:
						found = append(found, e.GetId()+" "+e.GetFault().String())
					case *messages.ListenerMoved:
						moved = append(moved, e.GetId())
					}
				}
				if !slices.Equal(found, []string{c.found}) {
					t.Errorf("found %q, want %q", found, c.found)
				}
				if who, fault, _ := strings.Cut(c.found, " "); fault != "FAULT_UNSPECIFIED" && !slices.Equal(moved, []string{who}) {
					t.Errorf("%q moved, want %s", moved, who)
				}
			})
		})
	}
}

// A verdict ends by itself, also after the actor was started anew in between.
func TestChainManager_VerdictEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, openLog(t, memoryWith(t,
			&messages.ListenerJoined{Node: node("amy"), After: messages.ServerID},
			&messages.ListenerJoined{Node: node("bob"), After: "amy"},
			&messages.ListenerAudited{Id: "amy", Fault: messages.Fault_FAULT_LYING, AtUnixUs: time.Now().UnixMicro()},
		)))
		defer o.close()
		o.want(o.told(), "amy below server", "bob below server")
		time.Sleep(10*time.Minute - time.Second)
		o.want(o.told())
		time.Sleep(time.Second)
		o.want(o.told(), "amy below server", "bob below amy")
	})
}

// What listeners tell of their way back to the music is written down together, a moment later;
// who says too much is not heard, and nobody waits for any of it.
func TestChainManager_Reports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := memoryWith(t)
		o := open(t, openLog(t, disk))
		defer o.close()
		o.say(&messages.JoinChain{Node: node("amy")})
		o.say(&messages.JoinChain{Node: node("bob")})
		before := o.log.Last()
		for range 1000 {
			o.say(&messages.Reconnected{Id: "amy", Lost: node("x"), Upstream: node("y")})
		}
		o.say(&messages.Reconnected{Id: "bob", Lost: node("x"), Upstream: node("y")})
		o.say(&messages.Reconnected{Id: "stranger"})
		time.Sleep(2 * reportsEvery)
		synctest.Wait()
		if n := o.log.Last() - before; n < 2 || n > 20 {
			t.Errorf("1001 reports are %d events", n)
		}
		if rows, err := disk.Read(before, 100, eventlog.Whole); err != nil || rows[0].Of != len(rows) {
			t.Errorf("%d reports are not one commit, and so one sync of the disk: the first commit has %d; %v", len(rows), rows[0].Of, err)
		}
		view := make(chan messages.View, 1)
		o.system.Root.Send(o.pid, &messages.Look{Reply: view})
		if live := (<-view).Live.(Live); live.DroppedReports < 980 {
			t.Errorf("%+v", live)
		}
	})
}

// Who comes and goes all the time is let in later, with words that say so; others are not kept waiting.
func TestChainManager_ComesTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t, openLog(t, memoryWith(t)))
		defer o.close()
		in, refused := 0, 0
		come := func(id, from string) bool {
			told := o.say(&messages.JoinChain{Node: node(id), Address: from})
			o.say(&messages.LeaveChain{Id: id})
			return slices.Contains(told, "welcome")
		}
		for range 100 {
			if come("mallory", "cafe") {
				in++
			} else {
				refused++
			}
		}
		if in == 0 || in > 20 || refused == 0 {
			t.Errorf("mallory came in %d of 100 times", in)
		}
		if !come("amy", "home") {
			t.Error("amy is not let in")
		}
		time.Sleep(time.Minute)
		if !come("mallory", "cafe") {
			t.Error("mallory is never let in again")
		}
	})
}

func TestAudits_Bounded(t *testing.T) {
	var a audits
	for i := range 40 {
		id := string(rune('A' + i))
		a.ask(suspicion{"accused " + id, "accuser " + id, "cafe", messages.Fault_FAULT_GONE})
	}
	if len(a.waiting) != auditsOfHousehold {
		t.Errorf("%d of one address", len(a.waiting))
	}
	for i := range 40 {
		id := string(rune('A' + i))
		a.ask(suspicion{"accused " + id, "accuser " + id, "home of " + id, messages.Fault_FAULT_GONE})
	}
	if len(a.waiting) > auditsWaiting {
		t.Errorf("%d wait", len(a.waiting))
	}
	line := chain.Of(chain.Member{ID: "amy"}, chain.Member{ID: "bob"}, chain.Member{ID: "cem"})
	a = audits{waiting: []suspicion{{"gone", "amy", "", 1}, {"amy", "gone", "", 1}, {"amy", "bob", "", 1}}}
	if s, is := a.next(line); !is || s.accused != "amy" || s.accuser != "bob" {
		t.Errorf("%v, %v", s, is)
	}
}

// Where many connections of one address are allowed, as many listeners of one address may join.
func TestChainManager_ManyOfOneAddress(t *testing.T) {
	const listeners = 2000
	for perAddress, want := range map[int]int{0: 800, listeners: listeners} {
		budget, now, in := newComings().of(perAddress), time.Unix(1, 0), 0
		for i := range listeners {
			if budget.spend(fmt.Sprint(i), "192.0.2.1/32", now) {
				in++
			}
		}
		if in != want {
			t.Errorf("%d connections per address: %d of %d joined, want %d", perAddress, in, listeners, want)
		}
	}
}
