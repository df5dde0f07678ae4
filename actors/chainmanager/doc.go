// Package chainmanager keeps the chain of listeners whole: it decides who feeds whom, and
// splices the chain where a listener leaves or dies.
//
// Its decisions are in the log BEFORE any listener is told. A listener learns only what
// concerns it: the nodes above it and the one below (messages.Neighbours). It needs no answer
// from here when its upstream dies: it turns to the next ancestor at once, and the chain
// manager agrees afterwards. (The ancestor list is Overcast's; numbers instead of
// acknowledgements are chain replication's.)
//
// # Losses
//
// Losses within 100 ms are one repair, made when the orphans have found their way. A node
// that a listener misses is moved to the tail only after that, because most such nodes are
// dead and the server is about to miss them, too. Many complaints at once have one cause that
// no move mends, a machine or a network too busy for all: after four moves in ten seconds the
// chain rests.
//
// # Whom to believe
//
// What a listener says of its upstream is a rumour (after hashicorp/memberlist's
// suspicion.go). It moves one node to the tail. The accuser has no second such move, nor has
// its address, until it proves right: the accused is lost, or the server has looked and found
// a fault. To look, the server asks the accused for the music for six seconds, as a guest with
// an ordinary id, and checks seals, numbers and times.
//
//   - Slow or hungry: a node that hears late sends late. So no one moves before the server has
//     looked at the accused and at the node that feeds it. It goes on upwards to the node that
//     is late and hears in time. (Where the server cannot look, the word alone counts.)
//   - Lying or skipping, seen by the server or said by listeners at three addresses: the node
//     feeds no one for ten minutes, the next time twice as long. A liar could serve the server
//     honestly; then the three voices convict it, and each of the three has left it anyway.
//   - No fault found: the accuser is not believed for a while.
//   - Two accusations of different nodes within half a minute: the accuser moves itself. If
//     every upstream looks bad to a node, its own line is bad.
//   - A refusal is no fault.
//
// So one identity, two, or two hundred of one address move at most two other nodes, whatever
// they say. A node found slow stays at the tail for 10 s, each time twice as long, newcomers
// stand above it, and its own complaints do not count for 10 s.
//
// # Who knows whom
//
// The ancestors of a listener are not all of one address if others stand above, so one who
// joins two hundred times is not all that a newcomer knows. Each node is told its guests: the
// listeners that have it among the next six above. Leaves are spread over the eight nearest
// nodes that feed, by rendezvous hashing: one that leaves changes nothing for the others.
//
// # Who dials
//
// The server tries a newcomer's relay before it sends anyone there. A node that cannot be
// reached dials the one that it feeds; two such nodes are never neighbours.
package chainmanager
