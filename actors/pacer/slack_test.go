package pacer

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// A server starts again with another slack. The song that was on goes on as it was; with the next one the music leaves more
// and more as it should. Nobody hears it: no item is lost, given twice or late, and the play-out times have no gap.
func TestPacer_Slack(t *testing.T) {
	for _, c := range []struct {
		name              string
		from, takes, want time.Duration
		to                time.Duration
	}{
		{"less", messages.Slack, 0, time.Second, time.Second},
		{"much more", time.Second, 0, messages.MaxSlack, messages.MaxSlack},
		{"less than the chain needs", messages.Slack, 300 * time.Millisecond, 1300 * time.Millisecond, time.Second},
		{"a chain that takes too long anyway", time.Second, time.Second, messages.Slack, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, all...)
				s.slack = c.from
				s.start()
				before := s.read(1, 20*time.Second)
				if slack := before[len(before)-1].Slack(); slack != c.from {
					t.Errorf("it begins with %v", slack)
				}
				s.stop()
				s.slack, s.takes = c.to, c.takes
				s.start()
				defer s.stop()
				after := s.read(0, 3*time.Minute)
				onTime(t, after, s.began)
				gapless(t, after)
				last := before[len(before)-1].Item
				for _, i := range after {
					if i.Number <= last.Number {
						if was := before[i.Number-1]; !bytes.Equal(was.Payload, i.Payload) || was.PlayAt() != i.PlayAt() {
							t.Fatalf("item %d is another than before", i.Number)
						}
					}
				}
				if after[0].Number > last.Number+1 {
					t.Errorf("items %d to %d are lost", last.Number+1, after[0].Number-1)
				}
				change := slices.IndexFunc(after, func(i heard) bool { return i.Change != nil && i.Number > last.Number })
				if change < 0 {
					t.Fatal("no other song has begun")
				}
				for _, i := range after[:change] {
					if i.Slack() != c.from {
						t.Fatalf("item %d of the song that was on has %v", i.Number, i.Slack())
					}
				}
				if _, live := s.look(); after[len(after)-1].Slack() != c.want || live.SlackMs != c.want.Milliseconds() {
					t.Errorf("in the end it is %v (%d ms in the dump), want %v", after[len(after)-1].Slack(), live.SlackMs, c.want)
				}
			})
		})
	}
}
