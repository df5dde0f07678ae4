// Package simulate runs a radio with thousands of listeners in virtual time, in one goroutine. The same plan gives the same
// run, to the microsecond.
//
// # What is real
//
// Each listener has the relay's own core (relay/machine, relay/search), its own window and its own filter for the server's
// clock (requester/clockfilter), the server has the chain's core (chainmanager/chain), and gives pings their turns and bounds
// those whom it helps as transport does: who feeds whom, who is asked, left and accused, who branches off, when who asks for
// the time, and what everybody is told, is decided by the code that decides it in conga. The messages between them are conga's,
// and their lines have conga's lengths.
//
// # What is modelled
//
// The shells around the cores are written anew, in events: a connection takes a round trip, an item waits until the uplink
// is free, takes its bytes' time on it, then the way's time, then a hop's processing (conga-bench measures it). A listener
// that is killed closes its connections; one that vanishes does not, and is missed when its silence has lasted for too
// long. Coming, going and ways are drawn as published measurements say (churn.go, ways.go). How fast uplinks are, how many
// listeners crash, and how many of these vanish, are assumptions without a source.
//
// # What is left out
//
// TCP's own behaviour: slow start, lost packets and what they hold up; downlinks; other traffic on the same line. Everybody
// knows the time exactly, although all ask for it. Signatures are not checked, which costs time that is part of the hop's, and
// nobody lies. The server's disk takes no time, and it is never restarted. No client of 2016 comes, and everybody can be
// reached. All this makes the simulation kinder than the world.
//
// Other things that are left out make it harsher. The server's audits, of which any number run at once, find whether a node
// answers, not whether its music is late: a node that is accused of that moves only if the chain decides it without an audit.
// No host asks for more slack.
package simulate
