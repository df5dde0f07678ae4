package messages_test

import (
	"bytes"
	"errors"
	"testing"

	"conga/messages"
)

func TestSounds_Parts(t *testing.T) {
	for _, frames := range []int{1, 2, 3, 4, 16} {
		sound := make([]byte, frames*messages.SoundFrame)
		for i := range sound {
			sound[i] = byte(i * 7 >> 3)
		}
		item := messages.NewSound(1<<40, 12, sound)
		var sounds messages.Sounds
		parts := item.Parts()
		for i, part := range parts {
			if len(part) > messages.MaxPayload {
				t.Errorf("%d frames: part %d has %d bytes", frames, i, len(part))
			}
			got, err := sounds.Add(part)
			if err != nil || (got != nil) != (i == len(parts)-1) {
				t.Fatalf("%d frames: part %d of %d gives %v, %v", frames, i, len(parts), got, err)
			}
			if got != nil && (got.Number != 1<<40 || got.FirstFrame != 12 || !bytes.Equal(got.Sound, sound) || got.Kind() != messages.KindSound) {
				t.Errorf("%d frames came back as %d, %d, %d bytes", frames, got.Number, got.FirstFrame, len(got.Sound))
			}
		}
	}
}

func TestSounds_Refused(t *testing.T) {
	four := messages.NewSound(7, 0, make([]byte, 4*messages.SoundFrame)).Parts()
	other := messages.NewSound(8, 0, make([]byte, 4*messages.SoundFrame)).Parts()
	for name, parts := range map[string][][]byte{
		"empty":            {{}},
		"no length":        {{7, 0}},
		"no sound":         {{7, 0, 0}},
		"number 0":         messages.NewSound(0, 0, make([]byte, messages.SoundFrame)).Parts(),
		"half a sample":    messages.NewSound(7, 0, make([]byte, messages.SoundFrame-2)).Parts(),
		"17 frames":        messages.NewSound(7, 0, make([]byte, 17*messages.SoundFrame)).Parts(),
		"another between":  {four[0], other[1]},
		"part with no end": {four[0], append(four[1], make([]byte, 2*messages.SoundFrame)...)},
	} {
		t.Run(name, func(t *testing.T) {
			var sounds messages.Sounds
			for _, part := range parts {
				if _, err := sounds.Add(part); err != nil {
					if !errors.Is(err, messages.ErrPayload) {
						t.Fatalf("error %v is no ErrPayload", err)
					}
					return
				}
			}
			t.Error("was taken")
		})
	}
}
