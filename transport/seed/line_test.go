package seed

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestLine_Whole(t *testing.T) {
	for name, c := range map[string]struct {
		line line
		want bool
	}{
		"nothing on the way":           {line{window: 65536}, true},
		"some on the way":              {line{unacked: 1000, window: 65536}, true},
		"something waits":              {line{unsent: 1, unacked: 1000, window: 65536}, false},
		"room for a part of a header":  {line{unacked: 995, window: 1000}, false},
		"room for a header":            {line{unacked: 994, window: 1000}, true},
		"no room":                      {line{unacked: 1000, window: 1000}, true}, // it waits alone
		"closed":                       {line{}, true},
		"the room has become less":     {line{unacked: 1000, window: 900}, true},
		"the system tells no window":   {line{unacked: 1000}, true},
		"no window, something waits":   {line{unsent: 10, unacked: 1000}, false},
		"no room, and something waits": {line{unsent: 10, unacked: 1000, window: 1000}, false},
	} {
		if got := c.line.whole(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAwait(t *testing.T) {
	for name, c := range map[string]struct {
		clears, ends, hurry time.Duration // 0: never
		seen                bool
		want                error
		after               time.Duration
	}{
		"clear at last":     {clears: time.Second, seen: true, after: time.Second},
		"never":             {seen: true, want: errStuck, after: stuckAfter},
		"the client's end":  {ends: time.Second, seen: true, want: context.Canceled, after: time.Second},
		"one must hurry":    {hurry: time.Second, seen: true, after: time.Second},
		"cannot be seen":    {},
		"clear from before": {clears: time.Nanosecond, seen: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				life, die := context.WithCancel(t.Context())
				defer die()
				if c.ends > 0 {
					defer time.AfterFunc(c.ends, die).Stop()
				}
				hurry := make(chan struct{})
				if c.hurry > 0 {
					defer time.AfterFunc(c.hurry, func() { close(hurry) }).Stop()
				}
				begun := time.Now()
				err := await(life, hurry, func() (line, bool) {
					l := line{unsent: 1}
					if c.clears > 0 && time.Since(begun) >= c.clears-time.Nanosecond {
						l.unsent = 0
					}
					return l, c.seen
				})
				if took := time.Since(begun); !errors.Is(err, c.want) || took < c.after || took > c.after+2*lineEvery {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}
