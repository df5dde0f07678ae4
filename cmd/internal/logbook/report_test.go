package logbook

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"conga/actors/pacer"
	"conga/actors/pacer/place"
)

// A song that nothing has ended is still on only as long as it lasts: its server may have stopped, or died.
func TestReport_StillOn(t *testing.T) {
	began := time.Date(2026, 11, 26, 21, 14, 0, 0, time.UTC)
	song := pacer.Aired{On: true, Started: place.Started{
		Name: "bach.mp3", SampleRate: 44100, PerChunk: 4, PlayAt: began.UnixMicro(), Frames: 1531, Played: 1531,
	}}
	for after, want := range map[time.Duration]bool{10 * time.Second: true, 39 * time.Second: true, 41 * time.Second: false, time.Hour: false} {
		now := began.Add(after)
		r := newReport(airtime{from: began, to: now, now: now}, []pacer.Aired{song})
		var out bytes.Buffer
		r.text(&out, false)
		if is := strings.Contains(out.String(), "still on"); is != want || len(r.Plays) != 1 || r.Plays[0].On != want {
			t.Errorf("after %v: %q", after, &out)
		}
	}
}
