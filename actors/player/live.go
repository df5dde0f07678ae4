package player

import (
	"cmp"
	"time"

	"conga/messages"
)

// Live is the player's present state, for the debug dump.
type Live struct {
	Underruns    int    `json:"underruns"`  // times that there was nothing to play when it was due
	BufferedMs   int64  `json:"bufferedMs"` // received beyond what is heard now
	Song         string `json:"song"`       // that is heard now
	HeardNumber  uint64 `json:"heardNumber"`
	Output       string `json:"output"`
	Silenced     string `json:"silenced,omitempty"`  // why there is no sound
	NeverHeard   bool   `json:"neverHeard"`          // nothing could be heard so far
	MutedMs      int64  `json:"mutedMs"`             // time without sound, in total
	Recording    string `json:"recording,omitempty"` // what a recording lacks
	LastCause    string `json:"lastCause,omitempty"` // of the last underrun
	LatencyUs    int64  `json:"latencyUs"`           // from the output to the ear, with the offset
	Device       string `json:"device,omitempty"`    // that plays
	OffsetUs     int64  `json:"offsetUs"`            // how much later than the device says its sound is heard
	ErrorUs      int64  `json:"errorUs"`             // how much too late the sound is
	Ppm          int    `json:"ppm"`                 // how much faster it plays to catch up
	Jumps        int    `json:"jumps"`               // times that it jumped to be in time again
	Steps        int    `json:"steps"`               // times that it moved by less than 80 ms, in a crossfade
	SilentMs     int64  `json:"silentMs"`            // silence in the middle of music
	Holes        int    `json:"holes"`               // gaps in the numbers
	DecodeErrors int    `json:"decodeErrors"`        // chunks with frames that could not be decoded
	Reopened     int    `json:"reopened"`            // times that it lost its place in the window

	// Heard is the song that is heard now; nil before the first. It is shared and never changed.
	Heard *messages.SongChange `json:"-"`
	// Levels are the present levels of left and right, from 0 to 1; 0 if nothing is decoded.
	Levels [2]float64 `json:"-"`

	silentUs int64
	endUs    int64 // when the newest received item is over
}

// live returns the present figures.
func (d *deck) live() Live {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.Live
	if item := d.heard.item; item != nil {
		l.Song, l.HeardNumber, l.Heard = item.Song.GetSong(), item.Number, item.Song
	}
	l.BufferedMs = min(maxStrayUs, max(0, l.endUs-d.now())) / 1000 // endUs comes from a stranger
	l.SilentMs = l.silentUs / 1000
	l.Levels = d.loud.now
	l.NeverHeard = !d.sounded
	if l.MutedMs = d.muted.Milliseconds(); l.Silenced != "" {
		l.MutedMs += time.Since(d.mutedAt).Milliseconds()
	}
	l.LatencyUs, l.ErrorUs, l.Ppm = d.latency, int64(d.steer.errorUs), int(d.steer.ppm)
	return l
}

// count changes the figures.
func (d *deck) count(change func(*Live)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.Live)
}

// mute records why there is no sound; the first reason stays. It returns the reason recorded before.
func (d *deck) mute(why string) (before string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if before = d.Silenced; before == "" {
		d.Silenced, d.mutedAt = why, time.Now()
	}
	return before
}

// unmute records that there is sound, and returns why there was none.
func (d *deck) unmute() (before string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sounded = true
	if before = d.Silenced; before != "" {
		d.muted += time.Since(d.mutedAt)
	}
	d.Silenced = ""
	return before
}

// received records how far the received music reaches.
func (d *deck) received(item *messages.Item) {
	if item.Change != nil || !timed(item) {
		return
	}
	length := messages.FrameOffset(int64(expectedFrames(item)), item.Song.GetSampleRate())
	d.count(func(l *Live) { l.endUs = item.PlayAt() + length.Microseconds() })
}

// with adds what was counted before.
func (l Live) with(before Live) Live {
	l.Underruns += before.Underruns
	l.SilentMs += before.SilentMs
	l.MutedMs += before.MutedMs
	l.NeverHeard = l.NeverHeard && (before == Live{} || before.NeverHeard)
	l.Jumps += before.Jumps
	l.Steps += before.Steps
	l.Holes += before.Holes
	l.DecodeErrors += before.DecodeErrors
	l.Reopened += before.Reopened
	l.LastCause = cmp.Or(l.LastCause, before.LastCause)
	return l
}
