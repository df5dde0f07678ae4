// Package seed speaks the protocol of the program of 2016 ("the seed"): for its clients in our chain, and
// for our listeners in its chain.
//
//	Porter   at the server: pairs a client's two connections, gives out ports, answers
//	         its requests. In the rest of the server a native stands in for the client.
//	Behind   at a listener: plays to the clients that the server says it feeds.
//	Feeder   plays the music, as sound, to a client that waits.
//	Radio    a listener's whole server, if that is one of 2016.
//
// No other room knows this protocol; others call this one only through hooks. For them a client of
// 2016 is a listener that feeds no one (Porter says HELLO for it), and a server of 2016 is a server
// (Radio answers for it).
//
// # In our chain
//
// A client of 2016 is a leaf: no native ever receives from one. It is fed by the node that was
// the last of the chain when it came, and moves only when that node leaves and says so. Only the
// server's Porter can bring one into the chain (JoinChain.seed, fed_by), and a node plays to silent
// connections only if the server says that it feeds such a client (Neighbours.seeds). A port waits
// 250 ms for a native's first byte before it takes the peer for such a client; a native that speaks
// later is still served.
//
// It works only as long as it is told where to receive from. A node that feeds one and leaves names
// the node above, or the server, by an IPv4 address. If its feeder vanishes or cuts it off, the
// chain knows that it no longer hears anything (ListenerFellSilent), and puts no one behind it.
//
// # In its chain
//
// With join --seed-dialect, music without a proof is played, and is given to no native that
// says HI.
package seed
