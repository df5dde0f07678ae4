// Package seed lets nodes take part that speak the bytes of the program of 2016, and only
// those: its clients in our chain, and our listeners in its chain.
//
//	Porter   the server's: pairs a client's two connections, gives out ports, answers
//	         its requests. A native stands in for the client in the rest of the server.
//	Behind   a listener's: plays to the clients that the server says it feeds.
//	Feeder   plays the music, as sound, to a client that waits.
//	Radio    a listener's whole server, if that is one of 2016.
//
// No other room knows these bytes; they meet this one only in hooks. For the rest of the house
// a client of 2016 is a listener that feeds no one (Porter says HELLO for it), and a server of
// 2016 is a server (Radio answers for it).
//
// # In our chain
//
// A client of 2016 is a leaf: no native ever receives from one. It is fed by the node that was
// the last of the chain when it came, and goes elsewhere only when that one leaves and says
// so. Only the server's own door (Porter) can bring one into the chain (JoinChain.seed,
// fed_by), and a node plays to silent connections only if the server says that it feeds such a
// client (Neighbours.seeds). A port waits 250 ms for a native's first byte before it takes the
// peer for such a client; a native that is later than that is heard all the same.
//
// It lives only as long as it is told where to go on. A node that feeds one and leaves names
// the node above, or the server, by an IPv4 address. If its feeder vanishes or cuts it off, the
// chain knows that it hears nothing any more (ListenerFellSilent), and puts no one behind it.
//
// # In its chain
//
// With join --seed-dialect, music without a proof is played, and is given to no native that
// says HI.
package seed
