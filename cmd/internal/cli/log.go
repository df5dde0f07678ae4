package cli

import (
	"io"
	"log/slog"

	"conga/cmd/internal/console"
)

// LogFlags say how a command that plays writes its log.
type LogFlags struct {
	LogFormat string `enum:"auto,text,json" default:"auto" placeholder:"FORMAT" help:"How the log is written: text (key=value) or json, one object a line; auto: sentences on a terminal, else text (${default})."`
	LogLevel  string `enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"What is written into the log: debug, info, warn or error, and what is graver (${default})."`
}

// Level is the lowest level that is written.
func (f LogFlags) Level() (level slog.Level) {
	if err := level.UnmarshalText([]byte(f.LogLevel)); err != nil {
		return slog.LevelInfo // the flags were not parsed
	}
	return level
}

// handler writes to w; people says whether people look at it.
func (f LogFlags) handler(w io.Writer, people bool) slog.Handler {
	options := &slog.HandlerOptions{Level: f.Level()}
	switch {
	case f.LogFormat == "json":
		return slog.NewJSONHandler(w, options)
	case f.LogFormat != "text" && people:
		return console.NewLog(w, f.Level())
	}
	return slog.NewTextHandler(w, options)
}

// NewLogger writes key=value.
func NewLogger(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
