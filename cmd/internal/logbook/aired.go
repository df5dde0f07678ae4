package logbook

import (
	"errors"
	"fmt"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/messages"
)

// timeForm is how times are said to people, who can type them again.
const timeForm = "2006-01-02T15:04:05.000Z07:00"

// airtime is a stretch of the broadcast, by when it was to be heard: from `from` on, and before `to`.
type airtime struct{ from, to, now time.Time }

// airtimeFlags say which stretch is meant.
type airtimeFlags struct {
	From string `setting:"-" placeholder:"MOMENT" help:"What was heard from then on: a time, or the number of an event, as of a song's start (the log's first)."`
	To   string `setting:"-" placeholder:"MOMENT" help:"What was heard before then (now)."`
}

// in reads the flags. It fails for a time of which the log knows nothing any more.
func (f airtimeFlags) in(log *eventlog.Log, now time.Time) (airtime, error) {
	if listener, err := actors.IsListeners(log); err != nil || listener {
		return airtime{}, errors.Join(err, errors.New("that is a listener's log: what was broadcast is in the server's, the --data of conga serve"))
	}
	begins, err := log.MarkAt(max(log.Base(), min(1, log.Last())))
	if err != nil {
		return airtime{}, err
	}
	known := time.UnixMicro(begins.Time).In(now.Location())
	a := airtime{from: known, to: now, now: now}
	if f.From != "" {
		if a.from, err = heardAt(log, f.From, now); err != nil {
			return a, fmt.Errorf("--from %w", err)
		}
	}
	if f.To != "" {
		if a.to, err = heardAt(log, f.To, now); err != nil {
			return a, fmt.Errorf("--to %w", err)
		}
	}
	switch {
	case log.Base() > 0 && a.from.Before(known):
		return a, fmt.Errorf("--from %s: the log knows what was played only from %s on; conga serve --keep and --keep-log say how long it keeps events, conga log import joins archived ones to it",
			f.From, known.Format(timeForm))
	case a.to.After(now):
		return a, fmt.Errorf("--to %s has not come yet: name a time that is over, or none", f.To)
	case !a.from.Before(a.to):
		return a, fmt.Errorf("--from %s is not before --to %s", a.from.Format(timeForm), a.to.Format(timeForm))
	}
	return a, nil
}

// heardAt reads a moment as when something was to be heard: that of the event of a song's start is when the song was.
func heardAt(log *eventlog.Log, text string, now time.Time) (time.Time, error) {
	if !isNumber(text) {
		at, err := When(text, now)
		if err != nil {
			err = fmt.Errorf("%w, or an event number", err)
		}
		return at, err
	}
	seq, err := moment(log, text, now)
	if err != nil {
		return now, err
	}
	if seq <= log.Base() {
		return now, fmt.Errorf("%s: %s", text, extent(log))
	}
	for record, err := range log.Since(seq - 1) {
		if err != nil {
			return now, err
		}
		if song, is := record.Event.(*messages.SongStarted); is {
			return time.UnixMicro(song.GetPlayAtUnixUs()).In(now.Location()), nil
		}
		return record.Time.In(now.Location()), nil
	}
	return now, fmt.Errorf("event %s cannot be read", text)
}

// songs are those of which something was to be heard.
func (a airtime) songs(log *eventlog.Log) ([]pacer.Aired, error) {
	songs, err := pacer.AiredIn(log, a.from, a.to, a.now)
	if err != nil {
		return nil, err
	}
	if len(songs) == 0 {
		return nil, fmt.Errorf("nothing was played from %s to %s: %s", a.from.Format(timeForm), a.to.Format(timeForm), extent(log))
	}
	return songs, nil
}

// heard is which frames of the song were heard.
func (a airtime) heard(song pacer.Aired) []pacer.Frames {
	return song.Heard(a.from.UnixMicro(), a.to.UnixMicro())
}

// at is when the song's frame was heard.
func (a airtime) at(song pacer.Aired, frame int64) string {
	return time.UnixMicro(song.Until(frame)).In(a.now.Location()).Format(timeForm)
}

// lasts is how long the frames last.
func lasts(song pacer.Aired, parts ...pacer.Frames) (all time.Duration) {
	for _, part := range parts {
		all += messages.FrameOffset(part.End-part.First, song.SampleRate)
	}
	return all
}

// unsure is which of the parts the log does not say whether they were sent.
func unsure(song pacer.Aired, parts []pacer.Frames) (both []pacer.Frames) {
	for _, part := range parts {
		for _, u := range song.Unsure {
			if first, end := max(part.First, u.First), min(part.End, u.End); first < end {
				both = append(both, pacer.Frames{First: first, End: end})
			}
		}
	}
	return both
}
