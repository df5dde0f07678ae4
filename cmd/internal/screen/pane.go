package screen

import (
	"context"
	"log/slog"
	"time"

	"conga/cmd/internal/console"
)

// roomInPane is how many lines may wait for the picture.
const roomInPane = 256

// Pane takes lines for a picture, including the command's log. Say never waits: a line that
// has no room is left out.
type Pane struct {
	// News is for the Source.
	News <-chan News
	in   chan News
}

// NewPane returns a pane without lines.
func NewPane() *Pane {
	in := make(chan News, roomInPane)
	return &Pane{News: in, in: in}
}

// Say shows a line.
func (p *Pane) Say(at time.Time, kind kind, text string) {
	select {
	case p.in <- News{At: at, Kind: kind, Text: text}:
	default:
	}
}

// Rest returns the lines of trouble that no picture has shown.
func (p *Pane) Rest() (rest []News) {
	for {
		select {
		case n := <-p.News:
			if n.Kind == Trouble {
				rest = append(rest, n)
			}
		default:
			return rest
		}
	}
}

// Handler is a log whose warnings and errors become lines. The picture shows the rest anyway.
func (p *Pane) Handler() slog.Handler { return paneHandler{pane: p} }

type paneHandler struct {
	pane  *Pane
	attrs []slog.Attr
}

func (h paneHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (h paneHandler) Handle(_ context.Context, r slog.Record) error {
	h.pane.Say(r.Time, Trouble, console.Sentence(r, h.attrs...))
	return nil
}

func (h paneHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)
	return h
}

func (h paneHandler) WithGroup(string) slog.Handler { return h }
