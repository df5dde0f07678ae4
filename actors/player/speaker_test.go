//go:build linux || ((cgo || windows || darwin) && !nospeaker)

package player

import (
	"strings"
	"testing"
)

// TestSpeaker_Process: what the loudspeaker's process may do wrong.
func TestSpeaker_Process(t *testing.T) {
	for _, c := range []struct{ act, says string }{
		{"dies", "the loudspeaker's process has ended (cannot find card '0')"},
		{"plays, dies", "the loudspeaker's process has ended"},
		{"plays, says why", "the card is gone"},
		{"wants too much", "wants 100000 frames"},
		{"says too much", "the card is gone"},
		{"plays, hangs", "the sound system does not answer"},
		{"hangs", "the sound system does not answer"},
	} {
		t.Run(c.act, func(t *testing.T) {
			t.Parallel()
			err := speaker{args: []string{c.act}}.Run(t.Context(), &proof{})
			if err == nil || strings.Count(err.Error(), c.says) != 1 || len(err.Error()) > maxPrinted+300 {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}
