package live

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"conga/actors"
	"conga/actors/player"
	"conga/messages"
	"conga/messages/plain"
)

// Answering is Asking, and answers OFFSET by itself: the loudspeaker is this listener's own.
func Answering(client *actors.Client) func(context.Context, string) []string {
	ask := Asking(client)
	return func(ctx context.Context, line string) []string {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(word) {
		case "OFFSET":
			return setOffset(ctx, client, strings.TrimSpace(rest))
		case "HELP":
			return append(ask(ctx, line), "OFFSET [MS]: how much later than it says your loudspeaker is heard, in milliseconds")
		}
		return ask(ctx, line)
	}
}

func setOffset(ctx context.Context, client *actors.Client, text string) []string {
	var change func(time.Duration) time.Duration
	if text != "" {
		to, err := ParseOffset(text)
		if err != nil {
			return []string{"OFFSET " + plain.Text(text, 64) + ": " + err.Error()}
		}
		change = func(time.Duration) time.Duration { return to }
	}
	now, err := client.Offset(ctx, change)
	if err != nil {
		return nil // ctx has ended
	}
	return []string{SayOffset(now)}
}

// ParseOffset reads an offset in milliseconds.
func ParseOffset(text string) (time.Duration, error) {
	ms, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "ms")), 64)
	most := player.MaxOffset.Seconds() * 1000
	if err != nil || !(ms >= -most && ms <= most) {
		return 0, fmt.Errorf("give milliseconds from %.0f to %.0f", -most, most)
	}
	return time.Duration(ms * float64(time.Millisecond)).Round(time.Microsecond), nil
}

// SayOffset is an offset in words.
func SayOffset(o messages.DeviceOffset) string {
	device := plain.Text(o.Device, 255)
	ms := o.Offset.Seconds() * 1000
	switch {
	case device == "":
		return "no device plays now, so there is no offset"
	case ms == 0:
		return fmt.Sprintf("offset 0 ms: %s is heard when it says", device)
	case ms < 0:
		return fmt.Sprintf("offset %g ms: your sound comes %g ms later than %s asks for", ms, -ms, device)
	}
	return fmt.Sprintf("offset %g ms: your sound comes %g ms earlier than %s asks for", ms, ms, device)
}
