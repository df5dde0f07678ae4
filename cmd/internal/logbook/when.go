package logbook

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"conga/actors/eventlog"
	"conga/cmd/internal/cli"
)

// timeForms are the forms in which people write times; without a zone they mean local time.
var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
}

// clockForms are times of the last day.
var clockForms = []string{"15:04:05", "15:04"}

// When reads a time: "10m" is ten minutes before now, "10:11:12" is the last time that it was that late.
func When(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)
	if ago, err := time.ParseDuration(strings.TrimSuffix(text, " ago")); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, form := range timeForms {
		if at, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			return at, nil
		}
	}
	for _, form := range clockForms {
		if at, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			year, month, day := now.Date()
			last := time.Date(year, month, day, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), now.Location())
			if last.After(now) {
				last = time.Date(year, month, day-1, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), now.Location())
			}
			return last, nil
		}
	}
	return time.Time{}, cli.Mistakef("%q is not a time: write 2026-11-22T10:11:12Z, 10:11:12 for the last time it was that late, or 10m for ten minutes ago", text)
}

// moment reads an event's number, or a time, which means the last event before it.
func moment(log *eventlog.Log, text string, now time.Time) (uint64, error) {
	if seq, err := strconv.ParseUint(text, 10, 64); err == nil {
		if last := log.Last(); seq > last {
			return 0, fmt.Errorf("event %d has not happened: the log ends with event %d", seq, last)
		}
		return seq, nil
	}
	at, err := When(text, now)
	if err != nil {
		return 0, fmt.Errorf("%w, or an event number", err)
	}
	return log.SeqAt(at)
}

// lived is moment, but fails if the time is outside the log.
func lived(log *eventlog.Log, text string, now time.Time) (uint64, error) {
	seq, err := moment(log, text, now)
	if err != nil || isNumber(text) {
		return seq, err
	}
	at, err := When(text, now)
	switch {
	case err != nil:
		return 0, err
	case at.After(now):
		return 0, fmt.Errorf("%s has not come yet: name a time that is over, or none for the end of the log", text)
	case seq > log.Base():
		return seq, nil
	case log.Base() == log.Last():
		return seq, nil // the log has no events any more, but a state
	}
	first, err := log.MarkAt(log.Base() + 1)
	if err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("nothing is known of %s: the log begins with event %d at %s", text, first.Seq,
		time.UnixMicro(first.Time).In(now.Location()).Format("2006-01-02T15:04:05.000Z07:00"))
}

// before is the last event before the moment.
func before(log *eventlog.Log, text string, now time.Time) (uint64, error) {
	if seq, err := strconv.ParseUint(text, 10, 64); err == nil {
		return max(seq, 1) - 1, nil
	}
	at, err := When(text, now)
	if err != nil {
		return 0, fmt.Errorf("%w, or an event number", err)
	}
	return log.SeqAt(at.Add(-time.Microsecond))
}

// span reads from and to, both included and either empty, and returns the range of the
// events' numbers: after < number <= last.
func span(log *eventlog.Log, from, to string, now time.Time) (after, last uint64, err error) {
	after, last = log.Base(), log.Last()
	if from != "" {
		if after, err = before(log, from, now); err != nil {
			return 0, 0, fmt.Errorf("--from %w", err)
		}
	}
	if to != "" {
		if last, err = moment(log, to, now); err != nil {
			return 0, 0, fmt.Errorf("--to %w", err)
		}
	}
	switch {
	case after >= last && from != "" && to != "":
		return 0, 0, fmt.Errorf("no event lies between --from %s and --to %s: %s", from, to, extent(log))
	case after > log.Last(), after == log.Last() && isNumber(from):
		return 0, 0, fmt.Errorf("--from %s: that has not happened, the log ends with event %d", from, log.Last())
	}
	return after, last, nil
}

// extent says which events the log has.
func extent(log *eventlog.Log) string {
	if base, last := log.Base(), log.Last(); base < last {
		return fmt.Sprintf("the log has events %d to %d", base+1, last)
	}
	return fmt.Sprintf("the log has no events since events 1 to %d were archived or folded", log.Base())
}

// isMoment reports whether the text can be a moment.
func isMoment(text string) bool {
	_, err := When(text, time.Now())
	return err == nil || isNumber(text)
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 64)
	return err == nil
}
