// Package web is what browsers and players over HTTP are given: the page of a server with its live news, and the
// music as one endless mp3. It decides nothing: what plays, who stands where and whether a song may be
// requested others say, and it puts that into HTTP.
//
//	Site     the server's page, on its request port: /, /live, /songs, /request, /cancel, /skip, /upload, /cover, /log, /at
//	         and, where there is a token, the door: /enter
//	Music    /stream.mp3, /listen.m3u and /listen.pls, on every node
//	Offers   which nodes play for others, and who plays for whom
//
// Nobody is trusted. A request must name this machine by an address, or by a name that no stranger can have or
// that the operator gave; what comes from pages of other sites is refused. All that the page shows of others it
// sets as text. A visitor that does not read is cut, and so is a player; each has a deadline for every write and a
// bound for what waits.
package web
