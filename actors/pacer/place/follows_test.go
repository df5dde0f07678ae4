package place

import "testing"

// A listener's broadcast is this one if its last song is in the log, or is too old to be remembered.
func TestState_Follows(t *testing.T) {
	playing := State{
		Song:   &Started{Number: 300, PlayAt: 3_000},
		Recent: []Started{{Number: 200, PlayAt: 2_000}},
		Next:   300,
	}
	paused := State{Recent: []Started{{Number: 200, PlayAt: 2_000}}, Next: 300}
	for _, c := range []struct {
		name   string
		state  State
		number uint64
		playAt int64
		want   bool
	}{
		{"the song that is on", playing, 300, 3_000, true},
		{"the song before", playing, 200, 2_000, true},
		{"long ago", playing, 17, 12, true},
		{"another song with that number", playing, 300, 3_001, false},
		{"another one before", playing, 200, 1_999, false},
		{"a number in the middle of a song", playing, 250, 2_500, false},
		{"of a future that this log never had", playing, 301, 4_000, false},
		{"between two songs", paused, 200, 2_000, true},
		{"a song that never began here", paused, 300, 3_000, false},
		{"a new log", State{}, 1, 1_000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.state.Follows(c.number, c.playAt); got != c.want {
				t.Errorf("follows: %v", got)
			}
		})
	}
}
