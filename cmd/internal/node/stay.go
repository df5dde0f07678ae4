package node

import (
	"fmt"
	"io"
	"time"

	"conga/actors"
	"conga/messages"
)

// stay is what a receipt does not have: how long a listener was there, and what it did for others.
type stay struct {
	lasted time.Duration
	sent   int64 // bytes of music; 0: it fed nobody
}

// sayStay says in words what the figures of a receipt mean.
func sayStay(w io.Writer, r actors.Receipt, s stay) {
	fmt.Fprintf(w, "You were there for %v%s.\n", s.lasted.Round(time.Second), missed(r))
	if s.sent > 0 {
		fmt.Fprintf(w, "You passed %.1f MB of music on to others.\n", float64(s.sent)/1e6)
	} else {
		fmt.Fprintln(w, "You were the last of the line: nobody needed you to pass the music on.")
	}
	switch {
	case r.Splices == 1:
		fmt.Fprintf(w, "Once somebody else had to feed you; it took %.0f ms to find one.\n", r.LongestSearchMs)
	case r.Splices > 1:
		fmt.Fprintf(w, "%d times somebody else had to feed you; it took %.0f ms at most to find one.\n", r.Splices, r.LongestSearchMs)
	}
}

func missed(r actors.Receipt) string {
	switch {
	case r.Heard == 0:
		return ", and no music came"
	case r.NeverHeard && r.Silenced != "":
		return ", and nobody could hear the music: there was never sound"
	case r.Lost == 0 && r.Underruns == 0 && r.MutedMs > 0:
		return fmt.Sprintf("; all of the music came, but for %d s there was no sound", (r.MutedMs+500)/1000)
	case r.Lost == 0 && r.Underruns == 0:
		return ", missed nothing, and there was no silence"
	case r.Lost == 0:
		return fmt.Sprintf("; all of the music came, but there was silence for %d ms", r.SilentMs)
	}
	return fmt.Sprintf(", missed about %.1f s of the music, and there was silence for %d ms", float64(r.Lost)*messages.MaxChunkDuration.Seconds(), r.SilentMs)
}
