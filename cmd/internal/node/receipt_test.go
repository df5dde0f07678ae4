package node

import (
	"strings"
	"testing"
	"time"

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
		stay    stay
		want    string
	}{
		{"all is well", whole, stay{lasted: 751200 * time.Millisecond, sent: 12_345_678}, `receipt of amy
  You were there for 12m31s. You missed nothing, and there was no silence.
  You passed 12.3 MB of music on to others.
  3 times somebody else had to feed you; it took 12 ms at most to find one.
  In figures:
  heard 1234 items, lost 0, twice 0, underruns 0, silence 0 ms
  every item was checked against the server's seals; upstreams that lied: 0
  splices 3, longest search 12.3 ms, lowest margin 1702 ms
  whole: bach.mp3, 380 chunks from 2, sha256 abc
`},
		{"nothing is", actors.Receipt{Name: "bob", Heard: 9, Lost: 1, Twice: 2, Underruns: 3, SilentMs: 4, Unproved: 5, Lies: 6, Silenced: "no sound card", Unfed: true, Splices: 1, LongestSearchMs: 7}, stay{lasted: 9 * time.Second}, `receipt of bob
  You were there for 9s. You missed about 0.1 s of the music, and there was silence for 4 ms.
  You were the last of the line: nobody needed you to pass the music on.
  Once somebody else had to feed you; it took 7 ms to find one.
  In figures:
  heard 9 items, lost 1, twice 2, underruns 3, silence 4 ms
  at the end it had no sound: no sound card
  at the end nobody fed it; what it missed then does not count as lost
  5 items came without a seal; upstreams that lied: 6
  splices 1, longest search 7.0 ms, lowest margin not known yet
`},
		{"silence only", actors.Receipt{Name: "cem", Heard: 9, Underruns: 1, SilentMs: 40}, stay{lasted: time.Minute}, `receipt of cem
  You were there for 1m0s. You missed nothing, but there was silence for 40 ms.
  You were the last of the line: nobody needed you to pass the music on.
  In figures:
  heard 9 items, lost 0, twice 0, underruns 1, silence 40 ms
  every item was checked against the server's seals; upstreams that lied: 0
  splices 0, longest search 0.0 ms, lowest margin not known yet
`},
		{"nothing came", actors.Receipt{Name: "dora"}, stay{}, `receipt of dora
  You were there for 0s and no music came.
  You were the last of the line: nobody needed you to pass the music on.
  In figures:
  heard 0 items, lost 0, twice 0, underruns 0, silence 0 ms
  every item was checked against the server's seals; upstreams that lied: 0
  splices 0, longest search 0.0 ms, lowest margin not known yet
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			showReceipt(&out, c.receipt, c.stay)
			if out.String() != c.want {
				t.Errorf("got\n%swant\n%s", out.String(), c.want)
			}
		})
	}
}
