package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"conga/transport/seed/seedtest"
)

// seedServer is a server of 2016 that plays tones.
func seedServer(t *testing.T) *seedtest.Server {
	t.Helper()
	server, err := seedtest.Serve([]string{"a.mp3", "b.mp3"}, tones())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// joinSeedServer joins with --seed-dialect, and waits until music comes: that server tells
// connections apart by their order.
func joinSeedServer(t *testing.T, server *seedtest.Server, name string) *process {
	t.Helper()
	p := launch(t, name, "join", server.Addr, "--seed-dialect", "--name", name,
		"--output", "null", "--listen", "127.0.0.1:0", "--data", "none").awaitReady(t, listenerReady)
	p.hears(t)
	return p
}

// Who feeds nobody says goodbye as well: a server of 2016 breaks when its listener vanishes.
func TestE2E_SeedServer_LeaveAlone(t *testing.T) {
	t.Parallel()
	server := seedServer(t)
	joinSeedServer(t, server, "native").end(t)
	eventually(t, "the server hears of it", func() string {
		if said := server.Said(); !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "DC,HOST,127.0.0.1,PORT,") }) {
			return fmt.Sprint(said)
		}
		return ""
	})
	if err := server.Err(); err != nil {
		t.Error(err)
	}
	joinSeedServer(t, server, "another")
}

// Who leaves ends the connection to the client of 2016 above it, and does not reset it.
func TestE2E_SeedServer_LeaveBelowClient(t *testing.T) {
	t.Parallel()
	server := seedServer(t)
	joinSeedServer(t, server, "first")
	client := seedClient(t, server.Addr)
	hears(t, client, 100)
	last := joinSeedServer(t, server, "last")
	last.end(t)
	now, _, _, _ := client.Heard()
	hears(t, client, now+1000)
}

// hears waits until the client has heard so many messages.
func hears(t *testing.T, client *seedtest.Client, messages int64) {
	t.Helper()
	eventually(t, "a client of 2016 hears", func() string {
		now, told, _, err := client.Heard()
		if err != nil {
			t.Fatalf("it is broken: %v, after %q", err, told)
		}
		if now < messages {
			return fmt.Sprint(now)
		}
		return ""
	})
}
