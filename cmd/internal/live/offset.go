package live

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"conga/actors"
	"conga/actors/player"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/messages/plain"
)

// Answering is Asking, and answers OFFSET and LIVE by itself: the loudspeaker is this listener's own. If that clicks, it also
// answers MEASURE.
func Answering(l *node.Listener, clicks bool) func(context.Context, string) []string {
	client := l.Client
	ask := Asking(client)
	return func(ctx context.Context, line string) []string {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(word) {
		case "OFFSET":
			return setOffset(ctx, client, strings.TrimSpace(rest))
		case "MEASURE":
			if clicks {
				return measure(ctx, client)
			}
		case "HELP":
			return append(ask(ctx, line), "OFFSET [MS]: how much later than it says your loudspeaker is heard, in milliseconds",
				"LIVE: after --at, hear what is broadcast now")
		case "LIVE":
			if strings.TrimSpace(rest) != "" { // it is no word of this kind
				break
			}
			if l.Live() {
				return []string{"you hear what is broadcast now"}
			}
			return []string{"you hear what is broadcast now already"}
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

// measure says when clicks arrive at the microphone, and what to do about it.
func measure(ctx context.Context, client *actors.Client) []string {
	now, err := client.Offset(ctx, nil)
	if err != nil {
		return nil // ctx has ended
	}
	if now.Device == "" {
		return []string{"no device plays now: there is nothing to measure"}
	}
	at, err := player.Measure(ctx, client.ServerNow)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return []string{"not measured: " + plain.Text(err.Error(), messages.MaxLine)}
	}
	return SayArrival(at, now)
}

// SayArrival says how late clicks were with an offset, and which one would be right.
func SayArrival(at player.Arrival, now messages.DeviceOffset) []string {
	ms := func(d time.Duration) float64 {
		return float64(d.Round(100*time.Microsecond)) / float64(time.Millisecond)
	}
	how, off := "late", ms(at.Late)
	if off < 0 {
		how, off = "early", -off
	}
	said := []string{fmt.Sprintf("%d clicks arrive %g ms %s, half of them within %g ms", at.Clicks, off, how, ms(at.Spread))}
	right := ms(now.Offset + at.Late)
	most := ms(player.MaxOffset)
	switch {
	case off < 1:
		return append(said, "that is in time; the microphone should be less than a metre away: sound needs 3 ms for each")
	case right > most || right < -most:
		return append(said, fmt.Sprintf("no offset of at most %g ms corrects that: choose another device", most))
	}
	return append(said, fmt.Sprintf("OFFSET %g sets and keeps what makes that right, if the microphone is less than a metre away: sound needs 3 ms for each", right))
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
