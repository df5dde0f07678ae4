// Package transport turns bytes into messages and back, and decides nothing: the
// stream connections that the music travels on, the request connections with their
// lines, and what a browser or script may ask over HTTP.
//
// Every format is a few pure functions on a bufio.Reader or a []byte (frame.go,
// packets.go, lines.go). Every connection is a small actor around one of them:
//
//	Streams      accepts listeners and feeds each from its own cursor   (every node)
//	Upstream     is fed by one node above                               (a listener)
//	Requests     answers typed lines, keeps natives informed            (the server)
//	RequestLink  is a listener's end of that                            (a listener)
//
// Who a listener is, is its key (identity.go). Who is served at a stream port, is decided for all
// its connections in admission.go, by pure parts: seats.go, replays.go.
//
// Ownership: an accepted connection belongs to its actor, a child of the acceptor;
// the actor's goroutines do the reading and writing and end when it stops. A panic in
// any of them stops that one connection (its peer comes back); the acceptor and all
// others never notice.
//
// Order: what one connection reports arrives in the order in which it happened, and
// its closing (UpstreamClosed, DownstreamClosed, RequestsClosed) is said once and last.
//
// Bounds: no peer makes anybody wait or memory grow. Lines and frames have a longest
// length, connections are counted by what they have shown and by address (lobby.go), writes have a
// deadline, every queue has an end, and so has what anybody can make the log keep (limits.go).
package transport
