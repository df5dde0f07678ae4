package transport

import "time"

// quietAfter is how long a native that lives may say nothing: it pings every second.
const quietAfter = 2500 * time.Millisecond

// claimLook is how often a claim that has to wait looks again.
const claimLook = 50 * time.Millisecond

// claim is an id that a HELLO names, while another connection has it. Both have proved that
// they have its key.
type claim struct {
	sameLife bool          // it is the same process: it has lost the older connection
	waited   time.Duration // since the HELLO
	quiet    time.Duration // since the older connection said something
}

// ruling is what becomes of a claim.
type ruling int

const (
	waitOn   ruling = iota // not known yet
	takeOver               // the older connection is dead, or about to be
	keepAway               // another process with the same key is alive
)

// rule decides. The older connection of a process that was killed, or of a network that
// broke, looks alive for a while: it must say something AFTER the HELLO to count.
func (c claim) rule() ruling {
	switch {
	case c.sameLife, c.quiet >= quietAfter:
		return takeOver
	case c.quiet < c.waited:
		return keepAway
	}
	return waitOn
}
