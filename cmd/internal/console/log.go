package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// NewLog is a log for people who look at w: the time of day and a sentence, from level least on. Files and
// pipes get slog's own format, which programs read.
func NewLog(w io.Writer, least slog.Level) slog.Handler { return sentences{w: w, least: least} }

type sentences struct {
	w     io.Writer // gets each line in one Write, from any goroutine
	least slog.Level
	attrs []slog.Attr
}

// Enabled leaves out lower levels.
func (h sentences) Enabled(_ context.Context, level slog.Level) bool { return level >= h.least }

// Handle writes the line.
func (h sentences) Handle(_ context.Context, r slog.Record) error {
	grave := ""
	switch {
	case r.Level >= slog.LevelError:
		grave = "error: "
	case r.Level >= slog.LevelWarn:
		grave = "warning: "
	}
	_, err := fmt.Fprintf(h.w, "%s  %s%s\n", r.Time.Local().Format("15:04:05"), grave, Sentence(r, h.attrs...))
	return err
}

// WithAttrs adds these to every line.
func (h sentences) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return h
}

// WithGroup changes nothing, because conga uses no groups.
func (h sentences) WithGroup(string) slog.Handler { return h }

// Sentence is the record's message, followed by its attributes in brackets, those of about first, and by its reason. Empty
// ones are left out.
func Sentence(r slog.Record, about ...slog.Attr) string {
	var what []string
	why := ""
	say := func(a slog.Attr) bool {
		if text := strings.Join(strings.Fields(a.Value.String()), " "); text != "" && a.Key == "reason" {
			why = ": " + text
		} else if text != "" {
			what = append(what, a.Key+" "+text)
		}
		return true
	}
	for _, a := range about {
		say(a)
	}
	r.Attrs(say)
	if len(what) == 0 {
		return r.Message + why
	}
	return r.Message + " (" + strings.Join(what, ", ") + ")" + why
}
