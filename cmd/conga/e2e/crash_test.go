package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
	"conga/cmd/internal/logbook"
	"conga/messages"
	"conga/messages/chance"
	"conga/transport"

	"github.com/google/uuid"
)

// TestE2E_Crash kills a server a hundred times while a client asks for songs all the
// time. Whatever was acknowledged is in the log, once; nothing is played twice.
func TestE2E_Crash(t *testing.T) {
	t.Parallel()
	kills := 100
	if testing.Short() {
		kills = 10
	}
	seed := chance.Seed(t)
	random := rand.New(rand.NewPCG(seed, 0))
	cuts, names := map[string]congatest.Cut{}, []string{}
	for i := range 60 {
		name := fmt.Sprintf("song%02d.mp3", i)
		names = append(names, name)
		cuts[name] = congatest.Cut{From: "bach.mp3", First: 20 * i, N: 20} // half a second
	}
	songs, data, addr := congatest.Songs(t, cuts), t.TempDir(), quietPair(t)
	start := func() *process {
		return launch(t, "server", "serve", "--songs", songs, "--listen", addr, "--http", "127.0.0.1:0",
			"--data", data, "--max-requests", "1000")
	}

	began := time.Now()
	client := ask(t, addr, names, rand.New(rand.NewPCG(seed, 1)))
	server := start().awaitReady(t, serverReady)
	startup := client.tries()
	client.await(t, 20)
	unready := 0
	for kill := range kills {
		// Every second one hits a server that answers, the others one that may still start.
		if kill%2 == 0 {
			server.awaitReady(t, serverReady)
			client.await(t, client.answered()+random.IntN(12))
		} else {
			client.awaitTries(t, client.tries()+random.IntN(startup+1))
		}
		if server.ended() {
			t.Fatalf("the server ended by itself: %s", server.err.String())
		}
		server.kill()
		if server.out.String() == "" {
			unready++
		}
		server = start()
	}
	server.awaitReady(t, serverReady)
	client.await(t, client.answered()+20)
	acknowledged := client.stop(t)

	stateIsReplay(t, server, data)
	server.kill()
	inLog := requestsKept(t, data)
	lost, twice, other := inLog.compare(t, acknowledged)
	t.Logf("%d kills (%d before the server was ready) in %v: %d requests acknowledged, %d lost, %d kept twice; %d songs chosen on request, %d twice",
		kills, unready, time.Since(began).Round(time.Second), len(acknowledged), lost, twice, len(inLog.chosen), inLog.chosenTwice)
	if lost+twice+other+inLog.chosenTwice+inLog.startedTwice > 0 {
		t.Errorf("%d answers do not match the log, %d songs started twice", other, inLog.startedTwice)
	}
	if len(acknowledged) < kills || unready == kills {
		t.Errorf("the test has hardly tested anything")
	}
}

// stateIsReplay checks that the living server's state is what its log says, byte for byte.
func stateIsReplay(t *testing.T, server *process, data string) {
	t.Helper()
	code, out, wrong := conga(t, "dump", server.ready["http"])
	var dump struct {
		Event uint64          `json:"event"`
		State json.RawMessage `json:"state"`
	}
	if err := json.Unmarshal([]byte(out), &dump); code != 0 || err != nil {
		t.Fatalf("dump: exit %d, %v: %s", code, err, wrong)
	}
	code, replay, wrong := conga(t, "log", "replay", "--data", data, "--at", fmt.Sprint(dump.Event))
	if state := string(logbook.Pretty(dump.State)); code != 0 || replay != state {
		t.Errorf("replay at %d (exit %d, %s)\n%s\nthe dump says\n%s", dump.Event, code, wrong, replay, state)
	}
}

// compare counts the acknowledged requests that the log lost, has twice, or answers otherwise.
func (k kept) compare(t *testing.T, acknowledged map[string]string) (lost, twice, other int) {
	for id, answer := range acknowledged {
		switch answers := k.answers[id]; {
		case len(answers) == 0:
			lost++
			t.Logf("%s: %q is not in the log", id, answer)
		case len(answers) > 1:
			twice++
		case answers[0] != strings.Contains(answer, "has been requested!"):
			other++
		}
	}
	return lost, twice, other
}

// quietPair is an address whose two ports nobody gets by chance while its server is down.
func quietPair(t *testing.T) string { return freePorts(t, 2) }

// asker asks for songs, one after the other, and asks again under the same id until the
// answer comes.
type asker struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	acked  map[string]string // request id to answer
	tried  int               // how often it has connected, or found nobody
}

// inFlight is how many requests are asked for before the first answer is awaited.
const inFlight = 3

func ask(t *testing.T, addr string, songs []string, random *rand.Rand) *asker {
	ctx, cancel := context.WithCancel(t.Context())
	a := &asker{cancel: cancel, acked: map[string]string{}}
	member := transport.NewMembership(transport.NewIdentity(), "", anyServer{})
	waiting := map[string]string{} // request id to line
	a.done.Go(func() {
		for ctx.Err() == nil {
			a.mu.Lock()
			a.tried++
			a.mu.Unlock()
			a.talk(ctx, addr, member, waiting, func() string { return "PLAY " + songs[random.IntN(len(songs))] })
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { cancel(); a.done.Wait() })
	return a
}

// talk asks on one connection until it breaks.
func (a *asker) talk(ctx context.Context, addr string, member *transport.Membership, waiting map[string]string, wish func() string) {
	raw, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	conn, err := member.Secure(ctx, raw)
	if err != nil {
		return
	}
	lines := bufio.NewScanner(conn)
	send := func(id string) error {
		line, err := transport.AppendLine(nil, &messages.Ask{RequestId: id, Line: waiting[id]})
		if err == nil {
			_, err = conn.Write(line)
		}
		return err
	}
	hello, err := transport.AppendLine(nil, conn.Introduce(&messages.Hello{
		Version: messages.DialectVersion, Node: &messages.Node{Name: "asker"}, Leaf: true,
	}))
	if err != nil {
		return
	}
	if _, err := conn.Write(hello); err != nil {
		return
	}
	for lines.Scan() {
		m, err := transport.ParseLine(lines.Text())
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *messages.Welcome:
			for _, id := range slices.Sorted(maps.Keys(waiting)) { // the answer was lost: once more
				if send(id) != nil {
					return
				}
			}
		case *messages.Answer:
			a.mu.Lock()
			a.acked[m.GetRequestId()] = strings.Join(m.GetLines(), "\n")
			a.mu.Unlock()
			delete(waiting, m.GetRequestId())
		default:
			continue
		}
		for len(waiting) < inFlight {
			id := uuid.NewString()
			waiting[id] = wish()
			if send(id) != nil {
				return
			}
		}
	}
}

func (a *asker) answered() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.acked)
}

func (a *asker) tries() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tried
}

// awaitTries waits until the client has tried n times to reach the server, or has its answers.
func (a *asker) awaitTries(t *testing.T, n int) {
	t.Helper()
	answered := a.answered()
	eventually(t, "the client tries", func() string {
		if got := a.tries(); got < n && a.answered() == answered {
			return fmt.Sprintf("%d times of %d", got, n)
		}
		return ""
	})
}

// await waits until n requests were acknowledged.
func (a *asker) await(t *testing.T, n int) {
	t.Helper()
	eventually(t, "the client is answered", func() string {
		if got := a.answered(); got < n {
			return fmt.Sprintf("%d of %d", got, n)
		}
		return ""
	})
}

// stop ends the asking and returns what was acknowledged.
func (a *asker) stop(t *testing.T) map[string]string {
	t.Helper()
	a.cancel()
	a.done.Wait()
	return a.acked
}

// kept is what the log has of requests.
type kept struct {
	answers                   map[string][]bool // request id: one for each time it was kept; true: queued
	chosen                    map[string]int
	chosenTwice, startedTwice int
}

func requestsKept(t *testing.T, data string) kept {
	t.Helper()
	log, err := logbook.OpenFolder(data)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	k := kept{answers: map[string][]bool{}, chosen: map[string]int{}}
	started := 0 // since the last choice
	for r, err := range log.Since(0) {
		if err != nil {
			t.Fatal(err)
		}
		switch e := r.Event.(type) {
		case *messages.SongQueued:
			k.answers[e.GetRequestId()] = append(k.answers[e.GetRequestId()], true)
		case *messages.PlayRefused:
			k.answers[e.GetRequestId()] = append(k.answers[e.GetRequestId()], false)
		case *messages.SongChosen:
			started = 0
			if id := e.GetRequestId(); id != "" {
				if k.chosen[id]++; k.chosen[id] > 1 {
					k.chosenTwice++
				}
			}
		case *messages.SongStarted:
			if started++; started > 1 {
				k.startedTwice++
			}
		}
	}
	return k
}
