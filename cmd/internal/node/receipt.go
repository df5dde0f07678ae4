package node

import (
	"context"
	"fmt"
	"io"
	"time"

	"conga/actors"
	"conga/messages"
	"conga/messages/plain"
)

// stay is what a receipt does not know of: how long a listener was there, and what it did for others.
type stay struct {
	lasted time.Duration
	sent   int64 // bytes
}

// showReceipt prints what a listener can show, in words and then in figures.
func showReceipt(w io.Writer, r actors.Receipt, s stay) {
	fmt.Fprintf(w, "receipt of %s\n", plain.Text(r.Name, messages.MaxName))
	for _, sentence := range inWords(r, s) {
		fmt.Fprintf(w, "  %s\n", sentence)
	}
	fmt.Fprintf(w, "  heard %d items, lost %d, twice %d, underruns %d, silence %d ms\n", r.Heard, r.Lost, r.Twice, r.Underruns, r.SilentMs)
	if r.Silenced != "" {
		fmt.Fprintf(w, "  at the end it had no sound: %s\n", plain.Text(r.Silenced, 255))
	}
	if r.Unfed {
		fmt.Fprintln(w, "  at the end nobody fed it; what it missed then does not count as lost")
	}
	proof := "every item was checked against the server's seals"
	if r.Unproved > 0 {
		proof = fmt.Sprintf("%d items came without a seal", r.Unproved)
	}
	fmt.Fprintf(w, "  %s; upstreams that lied: %d\n", proof, r.Lies)
	fmt.Fprintf(w, "  splices %d, longest search %.1f ms, lowest margin %s\n", r.Splices, r.LongestSearchMs, InMs(r.LowestMarginMs))
	for _, song := range r.Songs {
		fmt.Fprintf(w, "  whole: %s, %d chunks from %d, sha256 %s\n", plain.Text(song.Song, 255), song.Chunks, song.First, song.SHA256)
	}
}

// leastSent is less than a second of music: what is said at the beginning of a connection.
const leastSent = 10_000

// inWords is the receipt for people.
func inWords(r actors.Receipt, s stay) []string {
	heard := fmt.Sprintf("You were there for %v", s.lasted.Round(time.Second))
	switch {
	case r.Heard == 0:
		heard += " and no music came."
	case r.Lost == 0 && r.Underruns == 0:
		heard += ". You missed nothing, and there was no silence."
	case r.Lost == 0:
		heard += fmt.Sprintf(". You missed nothing, but there was silence for %d ms.", r.SilentMs)
	default:
		heard += fmt.Sprintf(". You missed about %.1f s of the music, and there was silence for %d ms.", float64(r.Lost)*messages.MaxChunkDuration.Seconds(), r.SilentMs)
	}
	carried := "You were the last of the line: nobody needed you to pass the music on."
	if s.sent >= leastSent {
		carried = fmt.Sprintf("You passed %.1f MB of music on to others.", float64(s.sent)/1e6)
	}
	words := []string{heard, carried}
	switch {
	case r.Splices == 1:
		words = append(words, fmt.Sprintf("Once somebody else had to feed you; it took %.0f ms to find one.", r.LongestSearchMs))
	case r.Splices > 1:
		words = append(words, fmt.Sprintf("%d times somebody else had to feed you; it took %.0f ms at most to find one.", r.Splices, r.LongestSearchMs))
	}
	return append(words, "In figures:")
}

func InMs(ms *float64) string {
	if ms == nil {
		return "not known yet"
	}
	return fmt.Sprintf("%.0f ms", *ms)
}

// receiptPatience is how long a busy node may take to say what it heard.
const receiptPatience = time.Second

// Farewell leaves, and prints what the listener can show for its time.
func (n *Listener) Farewell(w io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), receiptPatience)
	defer cancel()
	receipt, err := n.Client.Receipt(ctx)
	left := n.Leave()
	if err == nil { // else an actor broke down just now: there is nothing to show
		showReceipt(w, receipt, stay{lasted: time.Since(n.since), sent: n.Sent()})
	}
	return left
}
