// Package web serves browsers and players over HTTP: the page of a server with its live news, and the
// music as one endless mp3. It decides nothing. Others say what plays, who stands where and whether a song may be
// requested; this package puts that into HTTP.
//
//	Site     the server's page, on its request port: /, /live, /songs, /request, /cancel, /skip, /upload, /cover, /log, /at
//	         and, if there is a token, /enter
//	Past     /stream.mp3?at=MOMENT on that port, for any player, and /past?at=MOMENT for a listener's own
//	Music    /stream.mp3, /listen.m3u and /listen.pls, on every node
//	Offers   which nodes play for others, and who plays for whom
//
// Nobody is trusted. A request must name this machine by an address, by a name that no stranger can own, or by one
// that the operator gave. Requests from pages of other sites are refused. The page sets as text whatever others
// wrote. A visitor or a player that does not read is cut off: every write has a deadline, and what waits for them is
// bounded.
package web
