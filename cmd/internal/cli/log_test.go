package cli

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestLogFlags(t *testing.T) {
	said := func(flags LogFlags, people bool) string {
		var out strings.Builder
		log := slog.New(flags.handler(&out, people)).With("node", "amy")
		log.Debug("looks")
		log.Info("plays", "song", "air")
		log.Warn("waits")
		return out.String()
	}
	for _, test := range []struct {
		format, level string
		people        bool
		lines         int
		has           string
	}{
		{"auto", "info", true, 2, "  plays (node amy, song air)\n"},
		{"auto", "info", false, 2, "level=INFO msg=plays node=amy song=air\n"},
		{"text", "info", true, 2, "level=INFO msg=plays node=amy song=air\n"},
		{"json", "info", true, 2, `"msg":"plays","node":"amy","song":"air"}`},
		{"json", "debug", false, 3, `"level":"DEBUG","msg":"looks"`},
		{"auto", "debug", true, 3, "  looks (node amy)\n"},
		{"text", "error", false, 0, ""},
		{"", "", false, 2, "msg=plays"}, // the flags were not parsed
	} {
		out := said(LogFlags{test.format, test.level}, test.people)
		if strings.Count(out, "\n") != test.lines || !strings.Contains(out, test.has) {
			t.Errorf("%+v: %q", test, out)
		}
		for line := range strings.Lines(out) {
			if test.format == "json" && !json.Valid([]byte(line)) {
				t.Errorf("%q is no JSON", line)
			}
		}
	}
}
