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
		{"all is well", whole, `
songs that came whole, with the sums that the server's dump has of them:
  whole: bach.mp3, 380 chunks from 2, sha256 abc
receipt of amy
  heard 1234 items, lost 0, twice 0, underruns 0, silence 0 ms
  every item was checked against the server's signature; cut off for sending something else: 0
  splices 3, longest search 12.3 ms, lowest margin 1702 ms
`},
		{"nothing is", actors.Receipt{Name: "bob", Heard: 9, Lost: 1, Twice: 2, Underruns: 3, SilentMs: 4, Unproved: 5, Lies: 6, Silenced: "no sound card", MutedMs: 65_400, Unfed: true, Recording: "it lacks 20.0 s"}, `
receipt of bob
  heard 9 items, lost 1, twice 2, underruns 3, silence 4 ms
  at the end it had no sound, for 1m5s in all: no sound card
  the recording is not whole: it lacks 20.0 s
  at the end nobody fed it; what it missed then does not count as lost
  5 items came without the server's signature; cut off for sending something else: 6
  splices 0, longest search 0.0 ms, lowest margin not known yet
`},
		{"no sound at any time", actors.Receipt{Name: "cem", Heard: 9, Silenced: "no sound card", NeverHeard: true, MutedMs: 65_400}, `
receipt of cem
  heard 9 items, lost 0, twice 0, underruns 0, silence 0 ms
  nobody could hear it, there was never sound: no sound card
  every item was checked against the server's signature; cut off for sending something else: 0
  splices 0, longest search 0.0 ms, lowest margin not known yet
`},
		{"no sound in the middle", actors.Receipt{Name: "dan", Heard: 9, MutedMs: 3000}, `
receipt of dan
  heard 9 items, lost 0, twice 0, underruns 0, silence 0 ms
  for 3s in all it had no sound
  every item was checked against the server's signature; cut off for sending something else: 0
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
