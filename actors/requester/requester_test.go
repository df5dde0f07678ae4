package requester

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"conga/actors/requester/clockfilter"
	"conga/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The waits grow from 20 ms to a second, with jitter, while nobody is there, while the
// server takes in and hangs up, and while it refuses.
func TestRequester_Backoff(t *testing.T) {
	for name, answer := range map[string]func(h *house){
		"away":     func(*house) {},
		"hangs up": (*house).welcome,
		"refuses":  func(h *house) { h.says(&messages.Refused{Reason: "full"}) },
	} {
		t.Run(name, func(t *testing.T) {
			inside(t, func(h *house) {
				for range 30 {
					before := h.count()
					answer(h)
					h.close()
					h.pass(lastRetry)
					if h.count() != before+1 {
						t.Fatalf("%d connections after one was closed", h.count()-before)
					}
				}
				if name == "refuses" && h.refused != 30 {
					t.Errorf("told %d refusals", h.refused)
				}
				var waits []time.Duration
				for i := range h.dials[1:] {
					waits = append(waits, h.dials[i+1].Sub(h.dials[i])) // each was closed at once
				}
				if first := waits[0]; name != "refuses" && (first < firstRetry/2 || first >= lastRetry+firstRetry) {
					t.Errorf("first wait %v", first)
				}
				if h.live().Connections != 31 {
					t.Errorf("%+v", h.live())
				}
			})
		})
	}
}

// Whoever types while the server is away hears once that it is, and when it is back. That the first answer is a
// refusal is for whoever joins to tell.
func TestRequester_SaysAway(t *testing.T) {
	inside(t, func(h *house) {
		said := func(want ...string) {
			t.Helper()
			got := h.log.String()
			h.log.Reset()
			for _, line := range want {
				if !strings.Contains(got, line) {
					t.Errorf("said %q, want %q", got, line)
				}
			}
			if strings.Count(got, "\n") != len(want) {
				t.Errorf("said %q, want %d lines", got, len(want))
			}
		}
		h.says(&messages.Refused{Reason: "full"})
		said()
		h.welcome()
		said()
		for range 2 {
			h.close()
			said("the server is away: this listener tries again and again, and the lines that you type wait")
			h.typed("SONGS")
			said("what you type is answered when it is back")
			h.typed("REQUESTS")
			said()
			h.pass(lastRetry)
			h.welcome()
			said("the server is back")
		}
	})
}

// A server that says how long asking again makes no sense is not asked before, and not for
// ever later, whatever it says.
func TestRequester_ToldToWait(t *testing.T) {
	inside(t, func(h *house) {
		for said, longest := range map[time.Duration]time.Duration{
			time.Minute:       2 * time.Minute,
			longestTold * 100: 2 * longestTold,
		} {
			h.says(&messages.Refused{Reason: "that is not this server's token", WaitSeconds: uint32(said.Seconds())})
			h.close()
			start, before := time.Now(), h.count()
			for h.count() == before {
				h.pass(time.Second)
			}
			if wait := time.Since(start); wait < min(said, longestTold) || wait > longest+2*time.Second {
				t.Errorf("told to wait for %v it waits for %v", said, wait)
			}
		}
		h.close() // not told: soon again
		start, before := time.Now(), h.count()
		for h.count() == before {
			h.pass(time.Millisecond)
		}
		if wait := time.Since(start); wait > lastRetry {
			t.Errorf("not told to wait it waits for %v", wait)
		}
	})
}

// How long it waits behind so many failures, and that no two wait in step.
func TestRequester_Waits(t *testing.T) {
	inside(t, func(h *house) {
		for i, least := range []time.Duration{10, 20, 40, 80, 160, 320, 500, 500, 500} {
			h.close()
			start, before := time.Now(), h.count()
			for h.count() == before {
				h.pass(time.Millisecond)
			}
			if wait := time.Since(start); wait < least*time.Millisecond || wait > 2*least*time.Millisecond+time.Millisecond {
				t.Errorf("wait %d is %v", i, wait)
			}
		}
		// One that has stood for a while counts: it is made again soon, but probably all have lost it.
		h.welcome()
		for range 6 {
			h.pass(time.Second)
			h.pong()
		}
		h.close()
		start, before := time.Now(), h.count()
		for h.count() == before {
			h.pass(time.Millisecond)
		}
		if wait, most := time.Since(start), firstRetry<<lostTogether; wait < most/2 || wait > most {
			t.Errorf("after a good connection it waits %v", wait)
		}
	})
}

// What was asked and not answered is asked again on the next connection under the same
// id, in order; answers find their lines, strangers' answers nobody.
func TestRequester_AsksAgain(t *testing.T) {
	inside(t, func(h *house) {
		one, two := h.typed("PLAY a"), h.typed("SONGS")
		if len(said[*messages.Ask](h.last())) > 0 {
			t.Error("asked before the welcome")
		}
		h.welcome()
		first := said[*messages.Ask](h.last())
		three := h.typed("REQUESTS")
		third := said[*messages.Ask](h.last())[2]
		h.says(&messages.Answer{RequestId: first[1].GetRequestId(), Lines: []string{"b"}})
		h.says(&messages.Answer{RequestId: "another", Lines: []string{"x"}})
		if got := <-two; !slices.Equal(got, []string{"b"}) {
			t.Errorf("got %v", got)
		}
		h.close()
		h.pass(lastRetry)
		h.welcome()
		again := said[*messages.Ask](h.last())
		if len(again) != 2 || !proto.Equal(again[0], first[0]) || !proto.Equal(again[1], third) {
			t.Errorf("asked again %v", again)
		}
		// Also after a breakdown of the requester itself.
		h.broken.Store(true)
		h.says(&messages.Neighbours{})
		if h.broken.Load() {
			t.Fatal("it did not break")
		}
		h.welcome()
		h.says(&messages.Answer{RequestId: again[1].GetRequestId(), Lines: []string{"c"}})
		h.says(&messages.Answer{RequestId: again[0].GetRequestId(), Lines: []string{"a"}})
		h.says(&messages.Answer{RequestId: again[0].GetRequestId(), Lines: []string{"twice"}})
		if got := append(<-one, <-three...); !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("got %v", got)
		}
		if live := h.live(); live.Asked != 3 || live.Answered != 3 || live.Waiting != 0 {
			t.Errorf("%+v", live)
		}
	})
}

// A line too many is refused at once and not forgotten.
func TestRequester_TooMuchWaits(t *testing.T) {
	inside(t, func(h *house) {
		for range maxPending {
			h.typed("SONGS")
		}
		if got := <-h.typed("SONGS"); len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})
}

// A server that does not answer, neither the Hello nor the pings, is left; what the dead
// connection still says is ignored.
func TestRequester_Silence(t *testing.T) {
	inside(t, func(h *house) {
		frozen := h.last()
		h.each(func(n uint64) any { return &messages.RequestsOpened{Link: n} })
		if len(said[*messages.Hello](frozen)) != 1 {
			t.Error("no Hello")
		}
		h.pass(welcomeMissing + lastRetry)
		if h.count() != 2 || !frozen.stopped {
			t.Fatalf("%d connections, the frozen one is stopped: %v", h.count(), frozen.stopped)
		}
		h.welcome()
		for range 20 { // it answers
			h.pass(time.Second)
			h.pong()
		}
		if h.count() != 2 {
			t.Fatalf("%d connections", h.count())
		}
		silent := h.last()
		h.pass(clockfilter.Rarest + pongMissing + lookEvery + lastRetry) // and now it does not
		if h.count() != 3 || !silent.stopped {
			t.Fatalf("%d connections, the silent one is stopped: %v", h.count(), silent.stopped)
		}
		if now := h.clock.Now() - time.Now().UnixMicro(); now < 3599_000_000 || now > 3601_000_000 {
			t.Errorf("the clock is %d us off", now)
		}
	})
}

// What a server owes while this process stands still is not held against it. After that it has its time again.
func TestRequester_StoodStill(t *testing.T) {
	const still = 20500 * time.Millisecond
	for name, begin := range map[string]func(h *house) (owed time.Duration){
		"a welcome": func(h *house) time.Duration {
			h.each(func(n uint64) any { return &messages.RequestsOpened{Link: n} })
			return welcomeMissing
		},
		"an answer": func(h *house) time.Duration {
			h.welcome()
			h.typed("SONGS")
			return pongMissing
		},
	} {
		t.Run(name, func(t *testing.T) {
			inside(t, func(h *house) {
				owed := begin(h)
				h.stands(still)
				h.pass(owed - 2*lookEvery - lookEvery/2) // not at the same instant as a look
				h.stands(still)
				if h.pass(lookEvery / 4); h.count() != 1 {
					t.Fatal("it was left for what this process missed")
				}
				h.pass(2*lookEvery + lastRetry)
				if h.count() != 2 {
					t.Errorf("%d connections: that it does not answer is not noticed any more", h.count())
				}
			})
		})
	}
}

// When the clock is known, pings become rare. What people would see is told at once, and so is that this listener is
// alive, when the server asks. Whether the server is alive is asked with everything that it must be told.
func TestRequester_RarePings(t *testing.T) {
	inside(t, func(h *house) {
		h.answers.Store(true)
		h.welcome()
		pass := func(d time.Duration) (pings int) {
			before := len(said[*messages.ClockPing](h.last()))
			h.pass(d)
			return len(said[*messages.ClockPing](h.last())) - before
		}
		if n := pass(2 * time.Second); n < 1 || n > 8 { // the answers come at once: few tell the time
			t.Errorf("%d pings in the first two seconds", n)
		}
		pass(time.Minute)
		if n := pass(time.Minute); n > 5 {
			t.Errorf("%d pings a minute", n)
		}
		last := func() *messages.ClockPing {
			pings := said[*messages.ClockPing](h.last())
			return pings[len(pings)-1]
		}
		h.late.Store(1_000)
		if pass(2 * time.Second); last().GetLateUs() != 0 {
			t.Error("nobody would see that it is 1 ms late, but it is told at once")
		}
		h.late.Store(20_000)
		if pass(lookEvery + 50*time.Millisecond); last().GetLateUs() != 20_000 {
			t.Error("that it is 20 ms late is not told")
		}
		before := len(said[*messages.ClockPing](h.last()))
		h.says(&messages.SpeakUp{})
		if n := len(said[*messages.ClockPing](h.last())) - before; n == 0 {
			t.Error("told to speak up it says nothing")
		}
		h.answers.Store(false)
		h.typed("SONGS")
		h.pass(pongMissing + lookEvery + lastRetry)
		if h.count() != 2 {
			t.Errorf("%d connections: that a line gets no answer is not noticed", h.count())
		}
	})
}

// An answer counts from when it came, not from when this busy process looks at it.
func TestRequester_LateLook(t *testing.T) {
	inside(t, func(h *house) {
		h.welcome()
		h.pass(lookEvery)
		ping := said[*messages.ClockPing](h.last())[0]
		h.still.Store(int64(time.Second))
		for _, m := range []proto.Message{&messages.Playing{}, h.pongTo(ping)} {
			h.system.Root.Send(h.pid, &messages.RequestsSaid{Link: h.last().number, Said: m, At: time.Now()})
		}
		synctest.Wait()
		h.pass(2 * time.Second)
		if took, want := h.clock.Estimate().RoundTripUs, lookEvery.Microseconds(); took != want {
			t.Errorf("the answer took %d µs, want %d", took, want)
		}
	})
}

// A server that many listeners ask says when the next ping has its turn. What must be said is said all the same.
func TestRequester_Turn(t *testing.T) {
	inside(t, func(h *house) {
		h.answers.Store(true)
		h.wait.Store(5_000_000)
		h.welcome()
		h.pass(lookEvery)
		pings := func() int { return len(said[*messages.ClockPing](h.last())) }
		if n := pings(); n != 1 {
			t.Fatalf("%d pings, before the second one had its turn", n)
		}
		h.late.Store(20_000)
		if h.pass(3 * time.Second); pings() != 1 {
			t.Error("a ping for people who look does not wait for its turn")
		}
		if h.pass(time.Second + lookEvery); pings() != 2 {
			t.Errorf("%d pings after the second one's turn", pings())
		}
		h.says(&messages.SpeakUp{})
		if h.typed("SONGS"); pings() < 4 {
			t.Errorf("%d pings: it does not say that it is alive, or not ask whether a line gets there", pings())
		}
		h.wait.Store(1 << 52)
		before := pings()
		if h.pass(2 * clockfilter.Rarest); pings() == before {
			t.Error("it waits for a turn that never comes")
		}
	})
}

// A frozen server wakes up when its listener has begun to dial again: what it says on the old
// connection says nothing about the new one, on which it has not taken the listener in.
func TestRequester_LateWords(t *testing.T) {
	inside(t, func(h *house) {
		const first = 1
		h.send(&messages.RequestsOpened{Link: first})
		answer := h.typed("SONGS")
		h.pass(welcomeMissing + lastRetry)
		if h.count() != 2 {
			t.Fatalf("%d connections", h.count())
		}
		for _, m := range []proto.Message{&messages.Welcome{}, &messages.Refused{}, &messages.Neighbours{}, &messages.ClockPong{SentUs: 1, ServerUnixUs: 1}} {
			h.send(&messages.RequestsSaid{Link: first, Said: m, At: time.Now()})
		}
		if live := h.live(); live.Connected || h.joined > 0 || len(h.told) > 0 || len(h.last().sent) > 0 || h.clock.Estimate().Pings > 0 {
			t.Errorf("it believes the old connection: %+v; told %v, sent %v", live, h.told, h.last().sent)
		}
		h.welcome()
		ask := said[*messages.Ask](h.last())
		if h.joined != 1 || len(ask) != 1 {
			t.Fatalf("joined %d times, asks %v", h.joined, ask)
		}
		h.says(&messages.Answer{RequestId: ask[0].GetRequestId(), Lines: []string{"a"}})
		if got := <-answer; !slices.Equal(got, []string{"a"}) {
			t.Errorf("got %v", got)
		}
	})
}

// Who leaves says so once and does not come back, wherever the connection is just then.
func TestRequester_Leave(t *testing.T) {
	for name, begin := range map[string]func(h *house){
		"welcome":     (*house).welcome,
		"dialling":    func(*house) {},
		"hello":       func(h *house) { h.each(func(n uint64) any { return &messages.RequestsOpened{Link: n} }) },
		"backing off": (*house).close,
	} {
		t.Run(name, func(t *testing.T) {
			inside(t, func(h *house) {
				begin(h)
				h.send(&messages.Leave{})
				l, n := h.last(), h.count()
				if goodbye := len(said[*messages.LeaveChain](l)); goodbye != 0 != (name == "welcome") {
					t.Errorf("%d goodbyes", goodbye)
				}
				h.says(&messages.Welcome{})
				if on := h.live().Goodbye; on != (name == "welcome") {
					t.Errorf("a goodbye is on its way: %v", on)
				}
				h.close()
				if h.live().Goodbye {
					t.Error("the server has ended the connection, and has not heard the goodbye")
				}
				h.pass(time.Minute)
				if h.count() != n || len(said[*messages.LeaveChain](l)) > 1 {
					t.Errorf("%d connections, then %d", n, h.count())
				}
				if name != "backing off" && !l.stopped {
					t.Error("the connection is kept")
				}
				if name != "welcome" && h.joined > 0 {
					t.Error("it joined after it had left")
				}
			})
		})
	}
}

// What the server must hear it hears also when it is back; at most so much.
func TestRequester_Reports(t *testing.T) {
	inside(t, func(h *house) {
		h.send(&messages.PeerLost{Id: "dead"})
		h.send(&messages.PeerLost{Id: "liar", Fault: messages.Fault_FAULT_LYING})
		for range maxReports - 1 {
			h.send(&messages.Reconnected{Missing: 1})
		}
		h.welcome()
		h.send(&messages.PeerLost{Id: "slow"})
		lost := said[*messages.PeerLost](h.last())
		if len(lost) != 2 || lost[0].GetId() != "liar" || lost[1].GetId() != "slow" {
			t.Errorf("told %v", lost)
		}
		if n := len(said[*messages.Reconnected](h.last())); n != maxReports-1 {
			t.Errorf("%d reports", n)
		}
	})
}
