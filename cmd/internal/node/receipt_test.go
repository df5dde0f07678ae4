package node

import (
	"strings"
	"testing"

	"conga/actors"
	"conga/messages"
)

func TestShowReceipt(t *testing.T) {
	margin := 1702.4
	whole := actors.Receipt{
		Name: "amy", Heard: 1234, Splices: 3, LongestSearchMs: 12.34, LowestMarginMs: &margin,
		Songs: []messages.SongSum{{Song: "bach.mp3", First: 2, Chunks: 380, SHA256: "abc"}},
	}
	for _, c := range []struct {
		name    string
		receipt actors.Receipt
		want    string
	}{
		{"all is well", whole, `receipt of amy
  heard 1234 items, lost 0, twice 0, underruns 0, silence 0 ms
  every item was checked against the server's seals; upstreams that lied: 0
  splices 3, longest search 12.3 ms, lowest margin 1702 ms
  whole: bach.mp3, 380 chunks from 2, sha256 abc
`},
		{"nothing is", actors.Receipt{Name: "bob", Heard: 9, Lost: 1, Twice: 2, Underruns: 3, SilentMs: 4, Unproved: 5, Lies: 6, Silenced: "no sound card", Unfed: true}, `receipt of bob
  heard 9 items, lost 1, twice 2, underruns 3, silence 4 ms
  at the end it had no sound: no sound card
  at the end nobody fed it; what it missed then does not count as lost
  5 items came without a seal; upstreams that lied: 6
  splices 0, longest search 0.0 ms, lowest margin not known yet
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			showReceipt(&out, c.receipt)
			if out.String() != c.want {
				t.Errorf("got\n%swant\n%s", out.String(), c.want)
			}
		})
	}
}
