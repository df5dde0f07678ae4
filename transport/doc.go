// Package transport turns bytes into messages and back: the stream connections that the
// music travels on, the request connections with their lines, and what a browser or a
// script may ask over HTTP. It decides nothing about the music or the chain. It decides who
// gets a connection, and how much one client may take.
//
// Every format is a few pure functions on a bufio.Reader or a []byte (frame.go, lines.go).
// Every connection is a small actor around one of them:
//
//	Streams      accepts listeners and feeds each from its own cursor   (every node)
//	Upstream     is fed by one node above                               (a listener)
//	Requests     answers typed lines, keeps natives informed            (the server)
//	RequestLink  is a listener's end of that                            (a listener)
//
// Ownership: an accepted connection belongs to its actor, a child of the acceptor. The
// actor's goroutines read and write, and end when it stops. A panic in any of them stops
// that one connection, and its peer comes back; the acceptor and all others go on.
//
// Order: what one connection reports arrives in the order in which it happened. Its closing
// (UpstreamClosed, DownstreamClosed, RequestsClosed) is said once and last.
//
// Bounds: no peer can make anyone wait or memory grow. Lines and frames have a longest
// length, writes have a deadline, every queue has an end, connections are counted by address
// and by what they have shown (lobby.go), and so is what a client can make the log keep
// (limits.go).
//
// # The native dialect
//
// On PORT+1 and on every relay port, in both directions: a header of six bytes (two letters,
// four decimal digits of length), then the payload. The listener speaks first.
//
//	HI  up: OpenStream (who asks whom and when, signed; the next number or play-out time;
//	    the epoch; the proof of membership); down: StreamOpened
//	SG  Seal: epoch, first number, 10 bytes of SHA-256 an item, the song change's, ed25519
//	NS  SongChange: number, song, rate, frames, play-out time. It has a number like a chunk,
//	    and is also sent out of turn to a listener that begins in mid-song
//	SC  uvarint number, uvarint first frame, as many whole mp3 frames as fit into 110 ms
//	HB  the sender's time on the server's clock, or nothing; at least every 250 ms
//	DC  this node leaves: go to your next ancestor
//	OF  OfferStream: the first frame of a connection made by an upstream that cannot be
//	    reached; the answer is HI
//	ID  up: AskIdentity, a nonce; down: ProveIdentity, signed: whose port this is
//
// A relay port with --players also takes HTTP there: no frame begins with "GET /" or "HEAD ".
//
// Headers cost 6 bytes, a chunk about 5 more, a seal some 250 for sixteen items: 1.6 % of a
// stream of 128 kbit/s.
//
// On PORT, lines. People type plain words (SONGS, PLAY x, REQUESTS, HELP, QUIT). Natives
// send WORD {json}: HELLO is answered with WELCOME or REFUSED, ASK (whose id makes it
// harmless to ask again) with ANSWER, CLOCKPING with CLOCKPONG. PEERLOST, RECONNECTED and
// LEAVECHAIN report; NEIGHBOURS and PLAYING are pushed. A connection that begins like HTTP,
// in clear or inside TLS, is HTTP to its end (webtalk.go): no line in it is ever done, or any web page could make
// its visitors' browsers send lines here. What it gets is in the room web.
//
// # Which server
//
// A server is its ed25519 key. The key signs the broadcast and the certificate of the TLS
// 1.3 connection on PORT. No line of text begins with 0x16, the first byte of TLS, so both
// share the port; natives always use TLS. The key comes with a join link or --key, or it is
// kept at the first join, as ssh does; a changed key is refused. Keys of loopback addresses
// are not kept: no one stands in between, and servers come and go there.
//
// # Which listener
//
// A listener is its ed25519 key (listener.pem in its data folder), and its id is a uuid made
// from the public half (identity.go). HELLO signs this TLS connection's exporter, so no one
// can speak in another's name or repeat what it said. HI and OF sign who asks whom, when, and
// a nonce. They are good for a minute and for one use: each port remembers the nonces of those
// whom it expects. A signature costs some 35 µs, its check 70, and no round trip. Each use has
// a label of its own. If two processes run with one key, the older connection keeps its place
// if it says anything after the newer one's HELLO (a native pings every second); else it is
// dead, and the newer one takes its place (claim.go).
//
// # Who is served
//
// A stream port serves those whom the chain sends there (admission.go): the guests that the
// server named in NEIGHBOURS, and those it named until half a minute ago; the server itself
// serves all in the chain. They always have a seat, one each, and a newer stream of the same
// listener ends the older. Anyone else waits half a second, in case the server's word is still
// on its way, and is then refused. Only while a node cannot hear from the server does it feed a
// few whom it does not know. Who asks for the same music again and again gets it at little
// more than its own pace. The server also feeds those whom the chain sends elsewhere, because
// they may be in need; but what one address of them gets at once is bounded (catchup.go). A
// refusal says why (StreamOpened.Refusal), and is no fault of the node that refuses.
//
// A relay's address is on the host that its listener came from, or is named with --advertise.
// Then the server looks it up once, and dials nothing that is nearer to itself than the
// listener is (loopback, private networks). The node that answers there must sign the
// server's nonce (ID), else the listener counts as one that cannot be reached. So no one can
// make the server, or other listeners, connect to a stranger's port (relayaddr.go).
//
// # The token
//
// A listener proves the token of --auth in HELLO: an HMAC over the TLS exporter, with a key
// stretched from the token and the server's key. Someone in between has nothing to pass on,
// and the token never travels. The server proves in WELCOME that it knows the token BEFORE its
// key is kept, so a token also makes the first join safe. People with nc say AUTH <token>, in
// clear or inside openssl s_client.
//
// After ten wrong tokens an address is not told whether the next one is right until six
// seconds for each have passed; the same wrong word again counts once. While someone guesses
// at an address, its newcomers wait, too. A listener that was let in before does not wait: it
// proves that with its pass (Hello.standing), which no one can guess. REFUSED says how long to
// wait. Until the token is known a connection counts as one that has not said who it is.
//
// Between nodes there is a pass. WELCOME brings it inside TLS, and HI and OF carry an HMAC with
// it over what they sign. It is made from signing key and token: a restart does not change
// it, so no orphan notices one; another token makes another pass. What else a stream
// connection could show, and why it does not:
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
// # What others say
//
// messages/plain is the one filter: it removes control characters, marks of direction, what
// is invisible and what is not UTF-8; letters of all languages and emoji stay. Words pass it
// where they enter a node, and again where a command prints them. The debug port answers
// only callers that use an address or name of its machine, because a stranger can give a
// name of his own to any address (DNS rebinding). A listener's http= must be on the host it
// came from.
//
// # Limits
//
// A port counts connections by address (IPv6: by /64) and by what they have shown: nothing
// yet; that they say HELLO; that they are people with nc; that they are listeners. Each kind
// has places of its own. When they are taken, the address that has most loses its oldest, so a
// flood pushes out itself; listeners are not pushed out by newcomers, except that an address
// loses its newest to one that has fewer. Requests are counted by connection and by address;
// what is too much is answered at once. So are words that go into the log (PLAY, RECONNECTED,
// PEERLOST; HELLO with its end by address only): beyond the budget a PLAY is refused, a report
// is dropped and counted. With the default limits the log grows by at most 45 MB a day from one
// connection and 340 MB from one address (WordBytes for each word; a third of it is usual).
// Nothing is logged of what strangers ask in vain.
package transport
