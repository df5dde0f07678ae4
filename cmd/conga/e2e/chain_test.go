package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
	"conga/messages/chance"
)

// What was sent is what every listener got, byte for byte, and what is in the files.
func TestE2E_SongsArriveWhole(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	chain := joinChain(t, server, "amy", "bob", "cem", "dan", "eve")
	for _, listener := range chain {
		eventually(t, listener.name+" has two songs from first to last chunk", func() string {
			if got := listener.dump(t).Live.Relay.Songs; len(got) < 2 {
				return fmt.Sprint(got)
			}
			return ""
		})
	}
	for _, listener := range chain {
		got := listener.dump(t).Live.Relay.Songs
		sent := server.dump(t).Live.Pacer.Songs // after got: all that is in there was sent before
		for i, song := range got {
			if !slices.Contains(sent, song) {
				t.Errorf("%s has %+v, the server sent %+v", listener.name, song, sent)
			}
			if want := congatest.Digest(congatest.Short[song.Song].Frames(t)); song.SHA256 != want {
				t.Errorf("%s: %+v, in the file it is %s", listener.name, song, want)
			}
			if i > 0 && song.First != got[i-1].First+got[i-1].Chunks+1 { // a song change in between
				t.Errorf("%s: %+v follows %+v", listener.name, song, got[i-1])
			}
		}
		listener.unhurt(t)
	}
}

// Whoever goes, and however: those who remain hear on.
func TestE2E_OneLeaves(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	chain := joinChain(t, server, "a", "b", "c", "d", "e")
	for i, test := range []struct {
		how   string
		place int
	}{
		{"END", 0}, {"kill -9", 2}, {"END", 4}, {"kill -9", 0}, {"END", 2}, {"kill -9", 4},
	} {
		t.Run(fmt.Sprintf("%s of %d", test.how, test.place+1), func(t *testing.T) {
			chain = inOrder(t, server, chain)
			gone := chain[test.place]
			chain = slices.Delete(chain, test.place, test.place+1)
			start := time.Now()
			if test.how == "END" {
				gone.say(t, "END")
			} else {
				gone.kill()
			}
			awaitChain(t, server, chain)
			spliced := time.Since(start)
			awaitMusic(t, chain, start)
			t.Logf("the chain is right after %v, all hear after %v", spliced, time.Since(start))
			if code := gone.exit(t); test.how == "END" && code != 0 {
				t.Errorf("END: exit %d", code)
			}
		})
		// The next test has five again. Cleanup of the process belongs to the whole test.
		chain = append(chain, joinChain(t, server, fmt.Sprint("new", i))...)
	}
	awaitMusic(t, chain, time.Now())
	for _, listener := range chain {
		listener.unhurt(t)
	}
}

// Several die in one go, as neighbours or here and there: one gap or many, those who remain
// lose nothing.
func TestE2E_ManyDieAtOnce(t *testing.T) {
	t.Parallel()
	half := rand.New(rand.NewPCG(chance.Seed(t), 0)).Perm(10)[:5]
	for name, places := range map[string][]int{
		"4, 5 and 6": {3, 4, 5},
		"half":       half,
	} {
		t.Run(name, func(t *testing.T) {
			server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
			var chain, left []*process
			for i := range 10 {
				chain = append(chain, launchListener(t, server, fmt.Sprint("n", i+1)).awaitReady(t, listenerReady))
			}
			awaitMusic(t, chain, time.Now())
			chain = inOrder(t, server, chain)
			for place, listener := range chain {
				if slices.Contains(places, place) {
					_ = listener.cmd.Process.Kill() // all at once: nobody waits for an end
				} else {
					left = append(left, listener)
				}
			}
			awaitChain(t, server, left)
			awaitMusic(t, left, time.Now())
			for _, listener := range left {
				listener.unhurt(t)
			}
		})
	}
}

// awaitChain waits until these, and nobody else, stand in the server's chain. On a busy
// machine the server may have put a slow one behind others: the order is its own affair.
func awaitChain(t testing.TB, server *process, chain []*process) {
	t.Helper()
	want := names(chain)
	eventually(t, fmt.Sprint("in the chain are ", want), func() string {
		order := server.dump(t).chain()
		if got := slices.Sorted(slices.Values(order)); !slices.Equal(got, want) {
			return fmt.Sprint("there are ", order)
		}
		return ""
	})
}

// names are those of the processes, sorted.
func names(chain []*process) []string {
	var names []string
	for _, listener := range chain {
		names = append(names, listener.name)
	}
	slices.Sort(names)
	return names
}

// inOrder are the processes as the server has them in its chain.
func inOrder(t testing.TB, server *process, chain []*process) []*process {
	t.Helper()
	order := server.dump(t).chain()
	return slices.SortedFunc(slices.Values(chain), func(a, b *process) int {
		return slices.Index(order, a.name) - slices.Index(order, b.name)
	})
}

// awaitMusic waits until each node receives from one that lives, and more than it had then.
func awaitMusic(t testing.TB, chain []*process, since time.Time) {
	t.Helper()
	living := append(names(chain), "server")
	for _, listener := range chain {
		eventually(t, listener.name+" receives from the living", func() string {
			if up := listener.dump(t).Live.Relay.Upstream; up == listener.name || !slices.Contains(living, up) {
				return "it receives from " + up
			}
			return ""
		})
	}
	before := map[string]int64{}
	for _, listener := range chain {
		before[listener.name] = listener.dump(t).Live.Relay.Received
	}
	for _, listener := range chain {
		eventually(t, listener.name+" hears again", func() string {
			if now := listener.dump(t).Live.Relay.Received; now <= before[listener.name] {
				return fmt.Sprintf("%d items for %v", now, time.Since(since))
			}
			return ""
		})
	}
}

func TestE2E_OneComesWhileAnotherGoes(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	chain := joinChain(t, server, "amy", "bob", "cem")
	cem := chain[2] // whom the newcomer would have had above it
	dan := launchListener(t, server, "dan")
	cem.end(t)
	dan.awaitReady(t, listenerReady)
	chain = append(chain[:2:2], dan)
	awaitChain(t, server, chain)
	awaitMusic(t, chain, time.Now())

	chain[1].kill()
	eve := launchListener(t, server, "eve").awaitReady(t, listenerReady)
	chain = []*process{chain[0], dan, eve}
	awaitChain(t, server, chain)
	awaitMusic(t, chain, time.Now())
	for _, listener := range chain {
		listener.unhurt(t)
	}
}

// With nobody there the music goes on, and whoever comes then is the first.
func TestE2E_TheOnlyOneLeaves(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	for _, leave := range []func(p *process){
		func(p *process) { p.end(t) },
		func(p *process) { p.kill() },
		func(p *process) { p.signal(t, os.Interrupt) },
	} {
		only := joinChain(t, server, "amy")
		awaitChain(t, server, only)
		awaitMusic(t, only, time.Now())
		only[0].unhurt(t)
		leave(only[0])
		awaitChain(t, server, nil)
	}
	before := server.dump(t).Live.Pacer.Next
	eventually(t, "the music goes on", func() string {
		if now := server.dump(t).Live.Pacer.Next; now <= before {
			return fmt.Sprint("still ", now)
		}
		return ""
	})
}

// The server feeds two, and each listener but one offers to feed two. One that feeds two dies: both hear on from above, and nobody
// loses anything.
func TestE2E_Branches(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir(), "--chains", "2")
	var chain []*process
	for _, name := range []string{"amy", "bob", "cem", "dora", "emil", "fay"} {
		chain = append(chain, launchListener(t, server, name, "--feed", "2").awaitReady(t, listenerReady))
	}
	feeds := func(want map[string]string) {
		t.Helper()
		for _, listener := range chain {
			if want[listener.name] == "" {
				continue
			}
			eventually(t, listener.name+" hears from "+want[listener.name], func() string {
				if up := listener.dump(t).Live.Relay.Upstream; up != want[listener.name] {
					return "it hears from " + up
				}
				return ""
			})
		}
	}
	chain = append(chain, launchListener(t, server, "gil", "--feed", "0").awaitReady(t, regexp.MustCompile(`^ready relay=none http=`)))
	feeds(map[string]string{"amy": "server", "bob": "server", "cem": "amy", "dora": "amy", "emil": "bob", "fay": "bob"})
	awaitMusic(t, chain, time.Now())
	chain[0].kill()
	chain = chain[1:]
	feeds(map[string]string{"bob": "server", "cem": "server"}) // one of the two goes to the free place nearest the server
	feeds(map[string]string{"dora": "cem"})
	awaitMusic(t, chain, time.Now())
	for _, listener := range chain {
		listener.unhurt(t)
	}
}
