package node

import (
	"strings"
	"testing"
	"time"

	"conga/actors"
)

func TestSayStay(t *testing.T) {
	for _, c := range []struct {
		name    string
		receipt actors.Receipt
		stay    stay
		want    string
	}{
		{"all is well", actors.Receipt{Heard: 1234, Splices: 3, LongestSearchMs: 12.34}, stay{751200 * time.Millisecond, 12_345_678}, `You were there for 12m31s, missed nothing, and there was no silence.
You passed 12.3 MB of music on to others.
3 times somebody else had to feed you; it took 12 ms at most to find one.
`},
		{"nothing is", actors.Receipt{Heard: 9, Lost: 10, Underruns: 3, SilentMs: 4, Splices: 1, LongestSearchMs: 7}, stay{lasted: 9 * time.Second}, `You were there for 9s, missed about 1.1 s of the music, and there was silence for 4 ms.
You were the last of the line: nobody needed you to pass the music on.
Once somebody else had to feed you; it took 7 ms to find one.
`},
		{"silence only", actors.Receipt{Heard: 9, Underruns: 1, SilentMs: 40}, stay{time.Minute, 0}, `You were there for 1m0s; all of the music came, but there was silence for 40 ms.
You were the last of the line: nobody needed you to pass the music on.
`},
		{"no sound card", actors.Receipt{Heard: 9, Silenced: "no sound card", NeverHeard: true, MutedMs: 60_000}, stay{time.Minute, 10_000}, `You were there for 1m0s, and nobody could hear the music: there was never sound.
You passed 0.0 MB of music on to others.
`},
		{"no sound for a while", actors.Receipt{Heard: 9, MutedMs: 2_900}, stay{time.Minute, 10_000}, `You were there for 1m0s; all of the music came, but for 3 s there was no sound.
You passed 0.0 MB of music on to others.
`},
		{"nothing came", actors.Receipt{}, stay{}, `You were there for 0s, and no music came.
You were the last of the line: nobody needed you to pass the music on.
`},
	} {
		var out strings.Builder
		if sayStay(&out, c.receipt, c.stay); out.String() != c.want {
			t.Errorf("%s: got\n%swant\n%s", c.name, out.String(), c.want)
		}
	}
}
