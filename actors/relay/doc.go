// Package relay passes the music on: it takes each item from the node above, checks it, and
// puts it into the window from which the next listener and the player read.
//
// It forwards first; the player decodes later, and the relay knows nothing of it. When the
// upstream dies, is silent or lies, the relay turns to its next ancestor at once, without
// asking the server, and names the number it needs. What was on its way comes again, and no
// one hears a gap. The server is told afterwards.
//
// # Two cores
//
// The room search is what the listener's log keeps: whom to ask next. The room machine around it
// decides everything else: how late the music is, which link is on trial, whom to accuse. The actor
// gives it the inputs, commits its commands, and carries out its effects.
//
// # Restart
//
// A relay that broke down begins where the log and the window are, and asks for the server's last
// words. What was counted, and the window, are the listener's, which outlives it.
//
// # Late music
//
// An item's play-out time says how late it is, whatever its sender says (machine/arrival.go). If the
// music is late, all ancestors are asked at once, and the one that has brought 400 ms more than
// the upstream feeds from then on: words prove nothing, and the next line may be as slow. Only
// the three listeners next to the server ask the server, and those with less than 600 ms left;
// the others wait for the one just below the slow line. If no ancestor is ahead, the lateness is the
// depth of the chain, and nothing changes.
//
// # No music
//
// An upstream that is no ancestor any more is kept only while music comes from it, because two
// nodes that changed places while the server was away may feed each other. A node without music
// for 1.25 s asks all its ancestors and the server, again and again, whatever heartbeats its
// upstream sends. After 3 s it takes music with a hole, once all were asked. A hole that
// should have been heard by now is taken from anyone: a long chain is not searched for it
// node by node.
//
// # Standing still
//
// A process that was stopped, or whose machine slept, takes the silence for its own fault and
// accuses no one for two seconds.
//
// # Which broadcast
//
// An epoch is one start of a server. Only WELCOME, inside TLS with the pinned key, says which
// one it is, later or earlier. HELLO names the song that the listener had last; if the server's log does
// not have it there, the log was restored from a copy and WELCOME says anew: the node forgets
// its numbers, says DC to those below, and begins as a newcomer does. It does the same if a seal
// of a later epoch names another song for what comes next; the server's own signature proves
// it, and no one who passes it on has lied.
package relay
