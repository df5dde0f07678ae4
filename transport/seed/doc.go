// Package seed lets nodes take part that speak the bytes of the seed document's program of
// 2016, and only those: its clients in our chain, and ours in its.
//
//	Porter   the server's: pairs a client's two connections, gives out ports, answers
//	         its requests. For the rest of the server a native stands in for it.
//	Feeder   every node's: plays the music, as sound, to whoever connects and waits.
//	Dialer   every listener's: takes the music, as sound, from such a node above.
//	Radio    a listener's whole server, where that is of the seed's kind.
//
// Nothing outside knows of it but by hooks: to the rest of the house a seed client is a
// native listener (Porter says HELLO for it), a seed node above an upstream that sends
// sound (Dialer says its HI), a seed server a server (Radio answers for it).
//
// Sound has no numbers, and the music needs them. A Feeder writes the number of each chunk
// into the lengths of its messages, which a seed client never looks at and passes on as they
// are; the bytes of the sound stay what they are. So a native behind seed clients knows
// what it has, and goes on without a hole when they are gone.
package seed
