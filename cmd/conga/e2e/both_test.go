package e2e

import (
	"fmt"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
	"conga/messages/ports"
	"conga/transport/seed/seedtest"
)

// A chain of natives and clients of 2016, in which each client came behind a native, and a native
// 0, 0.1 and 0.3 s behind each client. Whoever goes, and however: the natives lose nothing,
// hear no silence and nothing without proof, and so do clients whose feeder lives or said DC.
func TestE2E_ChainOfBoth(t *testing.T) {
	for _, how := range []string{"END", "kill"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := buildBoth(t)
			kill := how == "kill"
			c.clients[1].Hold(850 * time.Millisecond) // it is behind from now on: that is nobody's harm
			c.nativeGoes(t, 0, kill)
			c.clientGoes(t, 1, kill)
			c.nativeGoes(t, 2, kill)
			if c.clients[2] != nil {
				c.clientGoes(t, 2, kill)
			}
			c.nativeGoes(t, 3, kill)
			last := seedClient(t, c.server.requests()) // not behind one that is dead
			hears(t, last, 60)
			native := c.natives[1]
			eventually(t, "three songs", func() string {
				if songs := native.dump(t).Live.Relay.Songs; len(songs) < 3 {
					return fmt.Sprint(len(songs))
				}
				return ""
			})
			rightSums(t, native)
			c.unhurt(t)
			if living := c.clients[0]; living != nil {
				hears(t, living, 1)
				wholeSongs(t, last)
			}
		})
	}
}

// both is a chain of natives and clients; client i came behind native i. Who has gone is nil,
// and so is a client that cannot hear any more.
type both struct {
	server  *process
	natives []*process
	clients []*seedtest.Client
}

func buildBoth(t *testing.T) *both {
	c := &both{server: launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())}
	awaitPlaying(t, c.server)
	for i, after := range []time.Duration{0, 0, 100 * time.Millisecond, 300 * time.Millisecond} {
		if i > 0 {
			c.clients = append(c.clients, seedClient(t, c.server.requests()))
			<-time.After(after)
		}
		port, err := ports.Free(2) // the second is for the client that comes behind it
		if err != nil {
			t.Fatal(err)
		}
		native := launchListener(t, c.server, fmt.Sprint("native-", i+1), "--listen", fmt.Sprintf("127.0.0.1:%d", port)).awaitReady(t, listenerReady)
		native.hears(t)
		c.natives = append(c.natives, native)
	}
	for _, client := range c.clients {
		hears(t, client, 30)
	}
	want := "[native-1 by native-2 by native-3 by native-4]"
	var got []string
	ids := map[string]string{}
	for _, m := range c.server.dump(t).State.ChainManager.Chain {
		ids[m.ID] = m.Name
		if got = append(got, m.Name); m.Seed {
			got[len(got)-1] = "by"
			if feeder := ids[m.FedBy]; feeder != got[len(got)-2] {
				t.Errorf("a client is fed by %q, it came behind %s", feeder, got[len(got)-2])
			}
		}
	}
	if fmt.Sprint(got) != want {
		t.Errorf("the chain is %v", got)
	}
	return c
}

// nativeGoes ends a native, and checks what it has heard.
func (c *both) nativeGoes(t *testing.T, i int, kill bool) {
	t.Helper()
	native := c.natives[i]
	native.flawless(t)
	c.natives[i] = nil
	if kill {
		native.kill()
		if i < len(c.clients) && c.clients[i] != nil {
			client := fmt.Sprintf("seed-127.0.0.1:%d", c.clients[i].Port)
			c.clients[i] = nil // its program runs on without music, until somebody ends it
			eventually(t, "the chain knows that a client is silent", func() string {
				for _, m := range c.server.dump(t).State.ChainManager.Chain {
					if m.Silent && m.Name == client {
						return ""
					}
				}
				return client
			})
		}
	} else {
		native.end(t)
	}
	c.hearOn(t)
}

func (c *both) clientGoes(t *testing.T, i int, kill bool) {
	t.Helper()
	client := c.clients[i]
	c.clients[i] = nil
	if n := client.Fed(); n > 0 { // whatever it handed on, somebody would have heard it
		t.Errorf("%d have come to a client of 2016 for music", n)
	}
	if kill {
		_ = client.Kill()
	} else if err := client.Leave(time.Second); err != nil { // as long as the program of 2016 takes
		t.Error(err)
	}
	c.hearOn(t)
}

// hearOn waits until all who are left have heard more.
func (c *both) hearOn(t *testing.T) {
	t.Helper()
	since := time.Now()
	defer func() { t.Logf("all who are left have heard on after %v", time.Since(since).Round(time.Millisecond)) }()
	for _, native := range c.natives {
		if native != nil {
			native.hears(t)
		}
	}
	for _, client := range c.clients {
		if client != nil {
			now, _, _, _ := client.Heard()
			hears(t, client, now+60)
		}
	}
}

func (c *both) unhurt(t *testing.T) {
	t.Helper()
	for _, native := range c.natives {
		if native != nil {
			native.flawless(t)
		}
	}
}
