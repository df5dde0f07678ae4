// Package relay passes the music on: it takes each item from the node above, checks it, and
// puts it into the window from which the next listener and the player read.
//
// It forwards first; the player decodes later, and the relay knows nothing of it. When the
// upstream dies, is silent or lies, the relay at once asks its next ancestor for the number it
// needs, without asking the server. The items that were on their way come again, and nobody hears
// a gap. The server is told afterwards.
//
// # Two cores
//
// Package search decides what the listener's log keeps: whom to ask next. Package machine around
// it decides everything else: how late the music is, which link is on trial, whom to accuse. The
// actor passes inputs to the machine, commits its commands, and carries out its effects.
//
// # The short way
//
// Nearly always nothing follows from an item but that it goes into the window, and from a seal nothing at
// all. Then the goroutine that has read it does all: it asks the machine, puts the item into the window, and
// writes it to the next listener (window.Cursor.Follow). One wake-up and one write a hop. The check comes
// first, as always. When it is time to look at how the music comes, the item brings that about, too.
// Whatever else there is to do goes through the actor's mailbox, and closes the short way until it is
// done (short.go).
//
// # Restart
//
// A relay that panicked begins again where the log and the window are, and asks for the server's
// last messages. The counters and the window belong to the listener, which outlives the relay.
//
// # Late music
//
// An item's play-out time shows how late it is, whatever its sender says (machine/arrival.go). If
// the music is late, the relay asks all ancestors at once, and turns to one that has sent music
// 400 ms further than the upstream's. What a node says about itself proves nothing, and its line
// may be as slow. The server is asked only by the three listeners next to it and by those with
// less than 600 ms left; the others wait until the node just below the slow line has found another.
// If no ancestor is ahead, the lateness comes from the depth of the chain, and nothing changes.
//
// # No music
//
// If the upstream is no longer an ancestor, it is kept only while music comes from it, because two
// nodes that changed places while the server was away may feed each other. A node without music
// for 1.25 s asks all its ancestors and the server, again and again, whatever heartbeats its
// upstream sends. After 3 s, when all were asked, it accepts music with a hole. If the play-out time
// of all that is missing is over, it accepts the hole from anyone at once, so that a long chain does
// not search for it node by node.
//
// If its request connection to the server has ended, and its newest item is one that the server sent just before, then nobody has
// more. So it asks nobody until the server is back, and for 250 ms more than the music usually takes to come down from there, but
// at most for 6 s. It believes nobody for that: music of a later time shows that the server was there all the time, and if it
// lacks what was sent before the end, it asks as ever. Otherwise each restart that takes longer than 1.25 s would send the
// whole chain to the server, though only the first listener has lost anything.
//
// The server feeds a bounded number of listeners that others feed, too (package transport, Who is served). Who is refused there
// stays with its upstream, and asks again as after any other round in vain.
//
// # Standing still
//
// A process that was stopped, or whose machine slept, takes the silence for its own fault and
// accuses no one for two seconds.
//
// # Which broadcast
//
// An epoch is one start of a server. Only WELCOME, inside TLS with the pinned key, says which epoch
// it is, whether later or earlier. HELLO names the listener's last song. If the server's log does not
// have it at that number, the log was restored from a copy, and WELCOME says anew: the node forgets
// its numbers, sends DC to those below, and begins as a newcomer does. It does the same if a seal of
// a later epoch names another song for the next item. The server's signature proves that seal, so
// nobody who passes it on has lied.
package relay
