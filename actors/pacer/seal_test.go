package pacer

import (
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/internal/seal"
	"conga/messages"
)

// Nearly every seal is named by the one before it: of a song only the first ones are not, because little was cut when they were
// made, nor those with which a chain begins as long as is read ahead. Each is signed, too (studio.read).
func TestPacer_SealsAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		s.start()
		defer s.stop()
		var before *messages.Seal
		seals, unnamed, songs := 0, 0, 0
		for _, i := range s.read(1, 3*time.Minute) {
			if i.Change != nil {
				songs++
			}
			if i.Seal == before {
				continue
			}
			seals++
			if !seal.Names(before, i.Seal) {
				unnamed++
			}
			before = i.Seal
		}
		if most := 2*songs + seals/(readAhead-1); songs < 3 || seals < 20*songs || unnamed > most {
			t.Errorf("of %d seals of %d songs %d are not named, more than %d", seals, songs, unnamed, most)
		}
	})
}
