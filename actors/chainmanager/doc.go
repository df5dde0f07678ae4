// Package chainmanager keeps the chain of listeners whole: it decides who feeds whom, and
// splices the chain where a listener leaves or dies.
//
// Its decisions are in the log BEFORE any listener is told. A listener learns only what
// concerns it: the nodes above it and the one below (messages.Neighbours). When its upstream
// dies, it needs no answer from here: it turns to the next ancestor at once, and the chain
// manager adapts afterwards. (The ancestor list is from Overcast, OSDI 2000; numbers instead of
// acknowledgements are from chain replication, OSDI 2004.)
//
// # Losses
//
// All losses within 100 ms are one repair; by then the orphans have found another upstream. Only
// then does a listener's complaint move a node to the tail, because most nodes that a listener
// misses are dead, and the server will notice that, too. Many complaints at once have one cause,
// a machine or a network too busy for all, and moves do not help: after four moves in ten
// seconds the chain rests.
//
// # Whom to believe
//
// What a listener says about its upstream is a rumour (after SWIM with Lifeguard, as in
// hashicorp/memberlist's suspicion.go). It moves one node to the tail. The accuser and its address
// have no second such move until it proves right: the accused is lost, or the server's audit finds
// a fault. For an audit, the server asks the accused for the music for six seconds, as a guest
// with an ordinary id, and checks seals, numbers and times.
//
//   - Slow or starving: a node that receives late sends late. So no node moves before the server
//     has audited the accused and the node that feeds it. The audit goes on upwards to the node
//     that is late but receives in time. (If the server cannot audit, the accusation alone counts.)
//   - Lying or skipping, seen by the server or reported by listeners at three addresses: the node
//     feeds no one for ten minutes, the next time twice as long. A liar could serve the server
//     honestly; then the three voices convict it, and each of the three has left it anyway.
//   - No fault found: the accuser is not believed for a while.
//   - Two accusations of different nodes within half a minute: the accuser itself is moved. If
//     every upstream looks bad to a node, its own line is bad.
//   - A refusal is no fault.
//
// So one identity, two, or two hundred of one address move at most two other nodes, whatever
// they say. A node that was found slow stays at the tail for 10 s, and each time twice as long;
// newcomers are placed above it, and its own complaints do not count for 10 s.
//
// # Who knows whom
//
// The ancestors of a listener are not all of one address if others stand above. So somebody who
// joins two hundred times cannot be all that a newcomer knows. Each node is told its guests: the
// listeners that have it among the next six above. Leaves are spread over the eight nearest
// nodes that feed, by rendezvous hashing: if one leaves, nothing changes for the others.
//
// # Branches
//
// The chain is a line while each node feeds one. If the server feeds several (--chains), or a listener offers to (--feed), it
// branches: a member of the order may begin a branch that hangs on any node (package chain, path.go). A newcomer goes to the
// place nearest the server where one more can be fed, so depth grows like a logarithm where all offer two. If a node
// dies that feeds several, each of them turns to its next ancestor, as in a line. Then that ancestor may feed more than it
// offers, and the repair moves the shortest of its branches to the place nearest the server that is free. Nodes that feed
// nobody are spread, as ever, and take no place.
//
// Listeners tell how much music they have ahead. If for twenty seconds the ends of the chain have had less time than the repair
// of a silent death takes, the way to the end is cut in half, and the lower half hangs on the free place nearest the server; if
// no listener offers a better one, on the server, as far as the host allows (--chains auto). Only one listener turns to another
// upstream, as in a splice. The chain that was opened so is joined to an end again when there is time enough (depth.go). What
// one listener says counts only as far as those above it say the same.
//
// # Who dials
//
// The server tries a newcomer's relay before it sends anyone there. A node that cannot be
// reached dials the one that it feeds; two such nodes are never neighbours.
package chainmanager
