package actors

import (
	"time"

	"conga/actors/window"
)

// tuneBack is how long before what is heard now a player over HTTP begins. It then gets three seconds at
// once, and the rest at the pace of the music.
const tuneBack = time.Second

// Tune returns the cursor for a player over HTTP.
func (c *Client) Tune() *window.Cursor { return tune(c.window, c.clock.Now()) }

// Tune returns the cursor for a player over HTTP.
func (s *Server) Tune() *window.Cursor { return tune(s.window, s.cfg.Now().UnixMicro()) }

// Ahead is how much music this node has beyond what is heard now; 0 or less: it has nothing to play.
func (c *Client) Ahead() time.Duration { return ahead(c.window, c.clock.Now()) }

// Ahead is how much music the server has given out beyond what is heard now.
func (s *Server) Ahead() time.Duration { return ahead(s.window, s.cfg.Now().UnixMicro()) }

func ahead(w *window.Window, now int64) time.Duration {
	last := w.Last()
	if last == nil {
		return 0
	}
	return time.Duration(last.PlayAt()-now) * time.Microsecond
}

func tune(w *window.Window, now int64) *window.Cursor {
	return w.OpenAt(now - tuneBack.Microseconds())
}
