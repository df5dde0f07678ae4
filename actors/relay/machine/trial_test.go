package machine

import (
	"testing"
	"time"
)

// A node goes on after it has stood still for long, and hears an ancestor's answer before it looks at the clock: the trial has
// only begun.
func TestMachine_TrialAfterAStandstill(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	begun, before := &opening{link: 1, late: true, since: now}, &opening{link: 2, late: true, since: now.Add(-time.Hour)}
	m := New(nil, &Tally{})
	m.waiting[begun.link], m.waiting[before.link] = begun, before
	m.arrival.look = now.Add(-time.Hour)
	m.Step(Moment{now, now.UnixMicro()}, Look{})
	if !begun.since.Equal(now) || !before.since.Equal(now.Add(-Glance)) {
		t.Errorf("the trials began %v and %v ago", now.Sub(begun.since), now.Sub(before.since))
	}
}
