// Package seed lets nodes take part that speak the bytes of the seed document's program of
// 2016, and only those: its clients in our chain, and ours in its.
//
//	Porter   the server's: pairs a client's two connections, gives out ports, answers
//	         its requests. For the rest of the server a native stands in for it.
//	Behind   a listener's: plays to those clients that the server says it feeds.
//	Feeder   plays the music, as sound, to one that waits.
//	Radio    a listener's whole server, where that is of the seed's kind.
//
// For natives such a client is a leaf: none ever receives from one. Nothing outside knows of
// it but by hooks: to the rest of the house a seed client is a listener that feeds nobody
// (Porter says HELLO for it), a seed server a server (Radio answers for it).
package seed
