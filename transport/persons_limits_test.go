package transport

import (
	"net"
	"testing"

	"golang.org/x/time/rate"
)

// The server speaks for all clients of 2016 from within itself. Still each address has a share of its own: who asks
// without end takes nothing from the others.
func TestLimits_StandIns(t *testing.T) {
	limits := Limits{}.filled()
	cfg, pace := &RequestsConfig{Limits: limits, Persons: NewPersons(nil)}, newPace(limits)
	client := func(from string) *requestTalk {
		here, there := net.Pipe()
		t.Cleanup(func() { _, _ = here.Close(), there.Close() })
		unlimited := rate.NewLimiter(rate.Inf, 0)
		return &requestTalk{cfg: cfg, pace: pace, conn: there, standIn: &StandIn{From: at(from)}, asking: unlimited, words: unlimited}
	}
	greedy, other := client("192.0.2.1:1"), client("192.0.2.2:1")
	for greedy.mayAsk() {
	}
	for greedy.mayLog() {
	}
	if client("192.0.2.1:2").mayAsk() {
		t.Error("another connection of the address has another share")
	}
	if !other.mayAsk() || !other.mayLog() {
		t.Error("nothing is left for another address")
	}
}
