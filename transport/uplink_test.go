package transport

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func homeOf(n int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 32)
}

// Fewer than half of the addresses, whatever they say and from however many streams, move the word of the others at most from one of
// these to another. A single address says nothing.
func TestBehindMost_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		honest := rapid.SliceOfN(rapid.IntRange(0, 20), 1, 12).Draw(t, "honest")
		var all []Outflow
		least, most := time.Hour, time.Duration(0)
		for n, looks := range honest {
			behind := time.Duration(looks) * UplinkLook
			all = append(all, Outflow{homeOf(n), behind})
			least, most = min(least, behind), max(most, behind)
		}
		liars := rapid.IntRange(0, len(honest)-1).Draw(t, "liars")
		for n := range liars {
			for range rapid.IntRange(1, 9).Draw(t, "streams") {
				all = append(all, Outflow{homeOf(100 + n), time.Duration(rapid.IntRange(0, 1000).Draw(t, "lie")) * UplinkLook})
			}
		}
		switch got := BehindMost(rapid.Permutation(all).Draw(t, "order")); {
		case len(honest)+liars < 2 && got != 0:
			t.Fatalf("one address says %v", got)
		case len(honest)+liars >= 2 && (got < least || got > most):
			t.Fatalf("the honest say %v to %v, and it is %v", least, most, got)
		}
	})
}

// Whatever is found: nobody is let go whom nobody feeds, nor when most are not behind; while they are, nobody is taken in; and there
// are never more than there may be in any case.
func TestUplink_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var u Uplink
		now := time.Unix(0, 0)
		for range rapid.IntRange(1, 300).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "later")) * UplinkLook)
			behind := time.Duration(rapid.IntRange(0, 4).Draw(t, "behind")) * UplinkLook
			inNeed := rapid.IntRange(0, 60).Draw(t, "in need")
			fed := rapid.IntRange(0, inNeed).Draw(t, "fed")
			bound := rapid.IntRange(0, 60).Draw(t, "bound")
			out := u.Look(now, behind, inNeed, fed)
			switch most := u.AtMost(bound); {
			case out < 0 || out > fed:
				t.Fatalf("%d are let go, of %d whom others feed", out, fed)
			case behind < fullAt && out > 0:
				t.Fatalf("%d are let go, and most are %v behind", out, behind)
			case behind >= fullAt && most > 0:
				t.Fatalf("most are %v behind, and %d may come", behind, most)
			case most < 0 || most > bound:
				t.Fatalf("%d may come, of at most %d", most, bound)
			}
		}
	})
}

// A model of an uplink that carries so many streams: what is too much waits, at most for twelve seconds. However many there
// are for whom nobody else does it, and however many others come: after some minutes the uplink is rarely full, the number hardly
// changes, and few places are empty.
func TestUplink_Property_Settles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		carries := float64(rapid.IntRange(2, 40).Draw(t, "carries")) + 0.3
		always := rapid.IntRange(1, 10).Draw(t, "always there")
		unfed := rapid.IntRange(0, 10).Draw(t, "unfed")
		want := rapid.IntRange(0, 100).Draw(t, "want")
		bound := rapid.IntRange(16, 60).Draw(t, "bound")
		var u Uplink
		now, waits, fed := time.Unix(0, 0), 0.0, 0
		const settled, lasts = 30 * 60 * 2, 90 * 60 * 2 // looks
		full, gone, there := 0, 0, 0
		for look := range lasts {
			now = now.Add(UplinkLook)
			for fed < want && unfed+fed < u.AtMost(bound) {
				fed++
			}
			all := always + unfed + fed
			waits = min(max(0, waits+(float64(all)-carries)*UplinkLook.Seconds()), 12*float64(all))
			behind := time.Duration(waits / carries * float64(time.Second)).Truncate(UplinkLook)
			out := u.Look(now, behind, unfed+fed, fed)
			fed -= out
			if look < settled {
				continue
			}
			gone += out
			if behind >= fullAt {
				full++
			}
			there += fed
		}
		room := min(want, max(0, min(int(carries)-always, bound)-unfed))
		switch hopeless := float64(always+unfed) > carries; {
		case hopeless && fed > 0:
			t.Fatalf("it cannot carry those that nobody else feeds, and takes %d more", fed)
		case hopeless:
		case full > (lasts-settled)/20:
			t.Fatalf("it is full in %d looks of %d", full, lasts-settled)
		case gone > 12+room: // four trials, and some more each time
			t.Fatalf("%d are let go", gone)
		case there < (lasts-settled)*(room*3/4-1):
			t.Fatalf("there were only %d of %d, in the mean", there/(lasts-settled), room)
		}
	})
}
