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

// showReceipt prints the receipt for people. The total comes last, where they look.
func showReceipt(w io.Writer, r actors.Receipt) {
	fmt.Fprintln(w) // the terminal may show ^C on this line
	if len(r.Songs) > 0 {
		fmt.Fprintln(w, "songs that came whole, with the sums that the server's dump has of them:")
	}
	for _, song := range r.Songs {
		fmt.Fprintf(w, "  whole: %s, %d chunks from %d, sha256 %s\n", plain.Text(song.Song, 255), song.Chunks, song.First, song.SHA256)
	}
	fmt.Fprintf(w, "receipt of %s\n", plain.Text(r.Name, messages.MaxName))
	fmt.Fprintf(w, "  heard %d items, lost %d, twice %d, underruns %d, silence %d ms\n", r.Heard, r.Lost, r.Twice, r.Underruns, r.SilentMs)
	if text := audible(r); text != "" {
		fmt.Fprintf(w, "  %s\n", text)
	}
	if r.Recording != "" {
		fmt.Fprintf(w, "  the recording is not whole: %s\n", r.Recording)
	}
	if r.Unfed {
		fmt.Fprintln(w, "  at the end nobody fed it; what it missed then does not count as lost")
	}
	proof := "every item was checked against the server's signature"
	if r.Unproved > 0 {
		proof = fmt.Sprintf("%d items came without the server's signature", r.Unproved)
	}
	fmt.Fprintf(w, "  %s; cut off for sending something else: %d\n", proof, r.Lies)
	fmt.Fprintf(w, "  splices %d, longest search %.1f ms, lowest margin %s\n", r.Splices, r.LongestSearchMs, InMs(r.LowestMarginMs))
}

// audible says when the music could not be heard; empty: it always could.
func audible(r actors.Receipt) string {
	reason := plain.Text(r.Silenced, 255)
	muted := (time.Duration(r.MutedMs) * time.Millisecond).Round(time.Second)
	switch {
	case reason != "" && r.NeverHeard:
		return "nobody could hear it, there was never sound: " + reason
	case reason != "":
		return fmt.Sprintf("at the end it had no sound, for %v in all: %s", muted, reason)
	case muted > 0:
		return fmt.Sprintf("for %v in all it had no sound", muted)
	}
	return ""
}

func InMs(ms *float64) string {
	if ms == nil {
		return "not known yet"
	}
	return fmt.Sprintf("%.0f ms", *ms)
}

// receiptPatience is how long a busy node may take to make its receipt.
const receiptPatience = time.Second

// Farewell leaves and prints the receipt.
func (n *Listener) Farewell(w io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), receiptPatience)
	defer cancel()
	receipt, err := n.Client.Receipt(ctx)
	left := n.Leave()
	if err == nil { // else an actor has just panicked, and there is no receipt
		showReceipt(w, receipt)
		sayStay(w, receipt, stay{lasted: time.Since(n.since), sent: n.PassedOn()})
	}
	return left
}
