package actors

import (
	"time"

	"conga/actors/window"
)

// tuneBack is how long before what is heard now a player over HTTP begins: it then gets three seconds at
// once, and the rest at the pace of the music.
const tuneBack = time.Second

// Tune is where a player over HTTP begins that this node plays for.
func (c *Client) Tune() *window.Cursor { return tune(c.window, c.clock.Now()) }

// Tune is where a player over HTTP begins that the server plays for.
func (s *Server) Tune() *window.Cursor { return tune(s.window, s.cfg.Now().UnixMicro()) }

func tune(w *window.Window, now int64) *window.Cursor {
	return w.OpenAt(now - tuneBack.Microseconds())
}
