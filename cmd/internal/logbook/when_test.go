package logbook

import (
	"testing"
	"time"
)

func TestWhen(t *testing.T) {
	zone := time.FixedZone("there", 2*3600)
	now := time.Date(2026, 11, 22, 10, 11, 12, 0, zone)
	for text, want := range map[string]time.Time{
		"10m":                       now.Add(-10 * time.Minute),
		"1h30m ago":                 now.Add(-90 * time.Minute),
		"09:00":                     time.Date(2026, 11, 22, 9, 0, 0, 0, zone),
		"10:11:12":                  now,
		"10:12":                     time.Date(2026, 11, 21, 10, 12, 0, 0, zone),
		"09:00:01.5":                time.Date(2026, 11, 22, 9, 0, 1, 5e8, zone),
		"2026-11-21":                time.Date(2026, 11, 21, 0, 0, 0, 0, zone),
		"2026-11-21 09:00":          time.Date(2026, 11, 21, 9, 0, 0, 0, zone),
		"2026-11-21T09:00:00Z":      time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC),
		"2026-11-21T09:00:00.25Z":   time.Date(2026, 11, 21, 9, 0, 0, 25e7, time.UTC),
		"2026-11-21T09:00:00+02:00": time.Date(2026, 11, 21, 9, 0, 0, 0, zone),
	} {
		if got, err := When(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, want %v (%v)", text, got, want, err)
		}
	}
	for _, text := range []string{"", "soon", "-5m", "25:00", "2026-13-01"} {
		if got, err := When(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestPretty(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":[],"b":{},"c":"<&>"}`:         "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": \"<&>\"\n}\n",
		`"\u003c \\u003c \u0001 \" \u2028"`: "\"< \\\\u003c \\u0001 \\\" \\u2028\"\n",
		`no json`:                           `no json`,
	} {
		if got := string(Pretty([]byte(in))); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}
