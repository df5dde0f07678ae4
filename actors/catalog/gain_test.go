package catalog

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/dhowden/tag"
	"pgregory.net/rapid"

	"conga/actors/catalog/library"
	"conga/actors/internal/mp3"
	"conga/messages"
)

// user is the body of a TXXX frame.
func user(encoding byte, field, value string) []byte {
	frame := func(body []byte) []byte {
		head := append([]byte("TXXX"), 0, 0, byte(len(body)>>8), byte(len(body)), 0, 0)
		return append(head, body...)
	}
	if encoding == 0 || encoding == 3 {
		return frame(slices.Concat([]byte{encoding}, []byte(field), []byte{0}, []byte(value)))
	}
	body := []byte{encoding, 0xff, 0xfe}
	for _, part := range []string{field, "\x00\ufeff", value} {
		for _, r := range part {
			body = binary.LittleEndian.AppendUint16(body, uint16(r))
		}
	}
	return frame(body)
}

// A song's loudness comes from its tag, in any spelling, or else from the encoder's header. Nonsense counts as nothing.
func TestMP3Loudness(t *testing.T) {
	for name, c := range map[string]struct {
		frames []byte
		music  mp3.Info
		want   loudness
	}{
		"a tag":           {slices.Concat(user(0, "REPLAYGAIN_TRACK_GAIN", "-6.48 dB"), user(0, "REPLAYGAIN_TRACK_PEAK", "0.98765")), mp3.Info{}, loudness{-648, 988}},
		"small letters":   {user(3, "replaygain_track_gain", "+1.5 dB"), mp3.Info{}, loudness{150, 0}},
		"UTF-16":          {user(1, "replaygain_track_gain", "-3.00 dB"), mp3.Info{}, loudness{-300, 0}},
		"of the album":    {user(0, "replaygain_album_gain", "-3.00 dB"), mp3.Info{}, loudness{}},
		"beyond reason":   {user(0, "replaygain_track_gain", "1e300 dB"), mp3.Info{}, loudness{maxGain, 0}},
		"not a number":    {user(0, "replaygain_track_gain", "NaN dB"), mp3.Info{}, loudness{}},
		"words":           {user(0, "replaygain_track_gain", "loud"), mp3.Info{}, loudness{}},
		"the encoder":     {[]byte(textFrame("TIT2", "x")), mp3.Info{Gain: -2.5, Peak: 0.5}, loudness{-250, 500}},
		"a tag before it": {user(0, "replaygain_track_gain", "-1 dB"), mp3.Info{Gain: -2.5}, loudness{-100, 0}},
	} {
		file := append(id3(0, string(c.frames)), make([]byte, 100)...)
		if got := mp3Loudness(reader(file), int64(len(file)), c.music); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// The loudness stays within its bounds, whatever bytes the tag has.
func TestLoudness_Property_Bounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var said loudness
		for range rapid.IntRange(1, 5).Draw(t, "fields") {
			said.note(rapid.SampledFrom([]string{"replaygain_track_gain", "REPLAYGAIN_TRACK_PEAK", "R128_TRACK_GAIN"}).Draw(t, "field"),
				rapid.OneOf(rapid.String(), rapid.StringMatching(`[+-]?[0-9]{1,20}(\.[0-9]*)?( dB)?`), rapid.SampledFrom([]string{"Inf", "-Inf", "NaN", "1e400"})).Draw(t, "value"))
		}
		if said.gain < -maxGain || said.gain > maxGain || said.peak < 0 || said.peak > 10_000 {
			t.Fatalf("got %+v", said)
		}
		if field, _, _ := userText(rapid.SliceOf(rapid.Byte()).Draw(t, "body")); len(field) > 4*maxUserText {
			t.Fatalf("%d bytes", len(field))
		}
	})
}

// Tags of other kinds are read, too. A song that is converted keeps its loudness.
func TestOtherTag_Loudness(t *testing.T) {
	dir := t.TempDir()
	gain := []string{"-metadata", "REPLAYGAIN_TRACK_GAIN=-7.25 dB", "-metadata", "REPLAYGAIN_TRACK_PEAK=0.5"}
	for name, c := range map[string]struct {
		args []string
		want loudness
	}{
		"a.flac": {gain, loudness{-725, 500}},
		"b.ogg":  {append([]string{"-c:a", "libvorbis"}, gain...), loudness{-725, 500}},
		"c.opus": {[]string{"-c:a", "libopus", "-metadata", "R128_TRACK_GAIN=-1280"}, loudness{0, 0}},
		"d.opus": {[]string{"-c:a", "libopus", "-metadata", "R128_TRACK_GAIN=-2560"}, loudness{-500, 0}},
	} {
		tone(t, dir, name, 400, c.args...)
		w := newWatcher(t, dir)
		w.first, w.makes = true, true
		w.look(0)
		if got := w.state.Find(name); got.GetGainMb() != c.want.gain || got.GetPeakPermille() != c.want.peak {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	state := library.State{}.Apply(&messages.SongAdded{Song: &messages.Song{Name: "a", GainMb: -1, PeakPermille: 2}})
	if got := state.Find("a"); got.GetGainMb() != -1 || got.GetPeakPermille() != 2 {
		t.Errorf("the state has %v", got)
	}
}

// fields is a tag with nothing but fields.
type fields struct {
	tag.Metadata
	raw map[string]any
}

func (f fields) Raw() map[string]any { return f.raw }

// Each look at a file reads the same loudness; otherwise the log would have a change at each look. If a file has both
// tags, ReplayGain counts.
func TestOtherLoudness_SameEachTime(t *testing.T) {
	for range 100 {
		said := otherLoudness(fields{raw: map[string]any{
			"REPLAYGAIN_TRACK_GAIN": "-1 dB", "Replaygain_Track_Gain": "-2 dB", "replaygain_track_gain": "-3 dB",
			"R128_TRACK_GAIN": "0", "r128_track_gain": "256",
		}})
		if want := (loudness{gain: -300}); said != want {
			t.Fatalf("%v, want %v", said, want)
		}
	}
}
