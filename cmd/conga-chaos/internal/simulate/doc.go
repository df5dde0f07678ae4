// Package simulate runs a radio with thousands of listeners in virtual time, in one goroutine. The same plan gives the same
// run, to the microsecond.
//
// # What is real
//
// Each listener has the relay's own core (relay/machine, relay/search) and its own window, the server has the chain's
// (chainmanager/chain): who feeds whom, who is asked, left and accused, and what everybody is told, is decided by the code
// that decides it in conga. The messages between them are conga's, and their lines have conga's lengths.
//
// # What is modelled
//
// The shells around the cores are written anew, in events: a connection takes a round trip, an item waits until the uplink
// is free, takes its bytes' time on it, then the way's time, then a hop's processing (conga-bench measures it). A listener
// that is killed closes its connections; one that vanishes does not, and is missed when its silence has lasted for too
// long. Coming, going, ways and uplinks are drawn (churn.go, ways.go), and cited there.
//
// # What is left out
//
// TCP's own behaviour: slow start, lost packets and what they hold up; downlinks; other traffic on the same line. Clocks
// agree. Signatures are not checked, which costs time that is part of the hop's, and nobody lies. The server's audits find
// whether a node answers, not whether its music is late: a node that is accused of that moves only if the chain decides it
// without an audit. The server's disk takes no time. No client of 2016 comes, and everybody can be reached. All this makes
// the simulation kinder than the world: what it says of more listeners than were ever run is a lower bound of their trouble.
package simulate
