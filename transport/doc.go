// Package transport turns bytes into messages and back: the stream connections that the
// music travels on, the request connections with their lines, and what a browser or a
// script may ask over HTTP. It decides nothing about the music or the chain. It decides who
// gets a connection, and how much one client may take.
//
// Every format is a few pure functions on a bufio.Reader or a []byte (frame.go, lines.go).
// Every connection is a small actor around one of them:
//
//	Streams      accepts listeners and feeds each from its own cursor   (every node)
//	Upstream     receives from one node above                           (a listener)
//	Requests     answers typed lines, keeps natives informed            (the server)
//	RequestLink  is the listener's end of a request connection          (a listener)
//
// Ownership: an accepted connection belongs to its actor, a child of the acceptor. The
// actor's goroutines read and write, and end when it stops. A panic in any of them stops
// that one connection, and its peer comes back; the acceptor and all others go on.
//
// Order: what one connection reports arrives in the order in which it happened. Its end
// (UpstreamClosed, DownstreamClosed, RequestsClosed) is reported once and last.
//
// Bounds: no peer can make anyone wait, or memory grow. Lines, frames and queues have a
// greatest length, and writes have a deadline. Connections are counted by address and by
// what they have shown (lobby.go). What a client can make the log keep is limited, too
// (limits.go).
//
// # The native dialect
//
// On PORT+1 and on every relay port, in both directions: a header of six bytes (two letters,
// four decimal digits of length), then the payload. The listener speaks first.
//
//	HI  up: OpenStream (who asks whom and when, signed; the next number or play-out time;
//	    the epoch; the proof of membership); down: StreamOpened
//	SG  Seal: epoch, first number, 10 bytes of SHA-256 for each item and for the song change,
//	    an ed25519 signature
//	NS  SongChange: number, song, rate, frames, play-out time. It has a number like a chunk,
//	    and is also sent again to a listener that begins in the middle of a song
//	SC  uvarint number, uvarint first frame, as many whole mp3 frames as fit into 110 ms
//	HB  the sender's time on the server's clock, or nothing; at least every 250 ms
//	DC  this node leaves: go to your next ancestor
//	OF  OfferStream: the first frame of a connection made by an upstream that cannot be
//	    reached; the answer is HI
//	ID  up: AskIdentity, a nonce; down: ProveIdentity, signed by the node whose port this is
//
// A relay port with --players also takes HTTP there: no frame begins with "GET /" or "HEAD ".
//
// Headers cost 6 bytes, a chunk about 5 more, a seal some 250 for sixteen items: 1.6 % of a
// stream of 128 kbit/s.
//
// On PORT, lines. People type plain words (SONGS, PLAY x, REQUESTS, CANCEL, SKIP, HISTORY, WHO, HELP, QUIT). Natives
// send WORD {json}. HELLO is answered with WELCOME or REFUSED, ASK with ANSWER (its id makes
// it safe to ask again), CLOCKPING with CLOCKPONG. PEERLOST, RECONNECTED and LEAVECHAIN report;
// NEIGHBOURS and PLAYING are pushed. A connection that begins like HTTP, in clear or inside TLS,
// is HTTP to its end (webtalk.go). None of its lines is taken for a request, or any web page
// could make its visitors' browsers send lines here. The room web answers it.
//
// # Which server
//
// A server is its ed25519 key. The key signs the broadcast and the certificate of the TLS
// 1.3 connection on PORT. No line of text begins with 0x16, the first byte of TLS, so both
// share the port; natives always use TLS. The key comes with a join link or --key, or it is
// kept at the first join, as ssh does; a changed key is refused. Keys of loopback addresses
// are not kept: no one can be in between, and servers there change often.
//
// # Which listener
//
// A listener is its ed25519 key (listener.pem in its data folder), and its id is a uuid made
// from the public half (identity.go). HELLO signs this TLS connection's exporter, so no one
// can speak in another's name or repeat what it said. HI and OF sign who asks whom, when, and
// a nonce. They are valid for a minute and for one use: each port remembers the nonces of the
// nodes that it expects. A signature takes some 35 µs, its check 70 µs, and no round trip. Each
// use has its own label. If two processes run with one key, the older connection keeps its place
// if it says anything after the newer one's HELLO (it is told to speak up). Otherwise it
// counts as dead, and the newer one takes its place (claim.go).
//
// # Who is served
//
// A stream port serves the listeners that the chain sends there (admission.go): the guests that
// the server named in NEIGHBOURS, and those it named until half a minute ago. The server itself
// serves all in the chain. Each of them always has one seat, and a newer stream of the same
// listener ends the older. Anyone else waits half a second, in case the server's message is still
// on its way, and is then refused. Only while a node cannot hear from the server does it feed a
// few that it does not know. A listener that asks for the same music again and again gets it
// hardly faster than the music plays. The server also feeds listeners that the chain sends
// elsewhere, because they may be in need; but it bounds what all such listeners of one address
// get at once (catchup.go). Of those that another node feeds, which come because their music is
// late or stands still, it takes in sixteen, and one in 25 of the chain; the others
// are told to stay where they are (inneed.go). If its uplink does not carry so many, the music would be
// late for everybody, and drive everybody to the server. So it looks whether what it gives to most addresses
// waits for longer than half a second: then it takes none of them, and lets the newest go until that
// ends (uplink.go). Whom nobody feeds is always taken, and never let go. A refusal says why
// (StreamOpened.Refusal), and is no fault of the node that refuses.
//
// A relay's address is on the host that its listener came from, unless --advertise names another.
// The server looks that up once, and dials nothing that is nearer to itself than the listener is
// (loopback, private networks). The node that answers there must sign the server's nonce (ID);
// otherwise the listener counts as one that cannot be reached. So no one can make the server or
// other listeners connect to a stranger's port (relayaddr.go).
//
// # The token
//
// A listener proves the token of --auth in HELLO: an HMAC over the TLS exporter, with a key
// derived (PBKDF2) from the token and the server's key. Someone in between can use none of it,
// and the token is never sent. The server proves in WELCOME that it knows the token, and only
// then is its key kept, so a token also makes the first join safe. People with nc say
// AUTH <token>, in clear or inside openssl s_client.
//
// After ten wrong tokens, an address is told whether the next one is right only once every six
// seconds; if the same wrong token is repeated, it counts once. While someone guesses tokens,
// newcomers at the same address wait, too. A listener that was let in before does not wait: it
// proves that with its pass (Hello.standing), which no one can guess. REFUSED says how long to
// wait. Until a connection has proved the token, it counts as one that has not said who it is.
//
// Between nodes there is a pass. WELCOME brings it inside TLS, and HI and OF carry an HMAC with
// it over what they sign. It is derived (HKDF) from the signing key and the token. So a restart
// does not change it, and no orphan notices one; a new token makes a new pass. What else a
// stream connection could show, and why it does not:
//
//	the token    every relay would have it, and anyone who took over a dead one's port
//	a ticket,    must be renewed for a listener that stays for a day
//	signed for
//	one node
//	TLS on       certificates for nodes, and one round trip more at every splice, which
//	every hop    the slack has to pay for
//
// A member can give the pass away, as it can the token.
//
// A player over HTTP has neither. Over TLS it shows the server the pass in its playlist, and the
// server sends it to a node with another one: an HMAC with the members' pass over the node's id
// and a time a minute ahead. So a node can check it alone, and what travels in clear is of use
// at that node only, and for that minute. The music on that way can be overheard anyway.
//
// # What others say
//
// messages/plain is the one filter. It removes control characters, direction marks, invisible
// characters and invalid UTF-8; letters of all languages and emoji stay. Text passes it when it
// enters a node, and again when a command prints it. The debug port answers only requests that
// name an address or a name of its machine, because a stranger can point a name of their own at
// any address (DNS rebinding). A listener's http= must be on the host it came from.
//
// # Limits
//
// A port counts connections by address (IPv6: by /64) and by what they have shown: nothing
// yet; that they say HELLO; that they are people with nc; that they are listeners. Each kind
// has its own places. When these are taken, the address with the most connections loses its
// oldest, so a flood displaces only itself. Listeners are not displaced by newcomers, with one
// exception: an address may lose its newest listener to an address that has fewer. Requests are
// counted by connection and by address; requests beyond the limit are refused at once. So are
// messages that go into the log (PLAY, RECONNECTED, PEERLOST; HELLO with its end only by
// address): beyond the budget a PLAY is refused, and a report is dropped and counted. With the
// default limits the log grows by at most 45 MB a day from one connection and 340 MB from one
// address (WordBytes for each message; a third of that is usual). Refused requests of strangers
// are not logged.
package transport
