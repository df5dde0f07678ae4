package transport

import "time"

// quietAfter is how long a live native may take to say something after SPEAKUP.
const quietAfter = 2500 * time.Millisecond

// claimLook is how often a waiting claim is decided again.
const claimLook = 50 * time.Millisecond

// claim is a HELLO for an id that another connection has. Both have proved that they have its
// key.
type claim struct {
	sameLife bool          // it is the same process: it has lost the older connection
	waited   time.Duration // since the HELLO
	looked   time.Duration // of that: while this process looked for a sign of life
	quiet    time.Duration // since the older connection said something
}

// ruling is the decision on a claim.
type ruling int

const (
	waitOn   ruling = iota // not known yet
	takeOver               // the older connection is dead, or about to be
	keepAway               // another process with the same key is alive
)

// rule decides. After a process was killed or a network broke, its older connection looks alive for a
// while. So it is told to speak up, and counts as alive only if it says something after the HELLO.
func (c claim) rule() ruling {
	switch {
	case c.sameLife:
		return takeOver
	case c.quiet < c.waited:
		return keepAway
	case c.looked >= quietAfter:
		return takeOver
	}
	return waitOn
}
