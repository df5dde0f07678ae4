package why

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"conga/actors/scheduler/queue"
	"conga/messages"
)

// request is a song that somebody asked for, and what became of it.
type request struct {
	id, song, by    string
	asked           time.Time
	chosen, skipped time.Time
	cancelled       time.Time
	byHost          bool   // it was cancelled by the host
	voted           string // who decided to skip it
	started, ended  time.Time
	reason          string // of the skip, or of the end
	vain            time.Time
	why             string // it could not be played at its last turn
}

// requests tells what became of each request of the story's listeners.
func (t *teller) requests() {
	told := t.asked(func(e *messages.SongQueued) bool { return t.about(e.GetListenerId()) })
	for _, q := range told {
		t.became(q)
	}
	t.waitSince(told, func(r queue.Request) bool {
		return t.about(r.Person) || r.Person == "" && t.isNamed(r.Listener)
	})
	t.refused(func(e *messages.PlayRefused) bool { return t.about(e.GetListenerId()) })
}

// isNamed says whether the story is about the one listener of that name. For some requests the queue knows only the name.
func (t *teller) isNamed(name string) bool {
	for id := range t.subjects {
		if t.labels[id] == name {
			return true
		}
	}
	return false
}

// aboutSong tells what became of the requests for a song, if no listener has that name.
func (t *teller) aboutSong(song string) {
	told := t.asked(func(e *messages.SongQueued) bool { return e.GetSong() == song })
	for _, q := range told {
		t.became(q)
	}
	t.waitSince(told, func(r queue.Request) bool { return r.Song == song })
	t.refused(func(e *messages.PlayRefused) bool { return meant(e, song) })
	for _, r := range t.Server {
		switch e := r.Event.(type) {
		case *messages.SongAdded:
			switch {
			case e.GetSong().GetName() != song:
			case e.GetSong().GetForm() == messages.Song_FORM_OTHER:
				t.say(r.Time, "%s can be requested, and must be converted before it plays.", song)
			case e.GetSong().GetForm() == messages.Song_FORM_CONVERTED:
				t.say(r.Time, "%s was converted, and can play.", song)
			default:
				t.say(r.Time, "%s can be requested from now on.", song)
			}
		case *messages.SongBrought:
			if e.GetSong() == song {
				t.say(r.Time, "%s brought %s.", who(e.GetListenerName()), song)
			}
		case *messages.SongRemoved:
			if e.GetName() == song {
				t.say(r.Time, "%s is gone from the folder.", song)
			}
		case *messages.SongRejected:
			if e.GetName() == song {
				t.say(r.Time, "%s cannot be played: %s.", song, unplayable(e.GetReason()))
			}
		}
	}
	if len(t.told) == 0 {
		t.sayNow("nobody has asked for %s since %s.", song, t.clock(t.begins()))
	}
	for bad := range t.State.Catalog.Rejected.All() {
		if bad.Name == song {
			t.sayNow("%s cannot be played: %s.", song, unplayable(bad.Reason))
		}
	}
}

// unplayable is a catalog's reason without the words that the sentence has already.
func unplayable(reason string) string { return strings.TrimPrefix(reason, "it cannot be played: ") }

// song is the full name of the song with that name; empty: there is none.
func (t *teller) song(name string) string {
	if name == "" {
		return ""
	}
	if song, exists := t.State.Scheduler.Find(name); exists && !isNumber(name) {
		return song
	}
	for bad := range t.State.Catalog.Rejected.All() {
		if isSongOf(bad.Name, name) {
			return bad.Name
		}
	}
	for _, r := range t.Server {
		switch e := r.Event.(type) {
		case *messages.SongQueued:
			if isSongOf(e.GetSong(), name) {
				return e.GetSong()
			}
		case *messages.SongRemoved:
			if isSongOf(e.GetName(), name) {
				return e.GetName()
			}
		}
	}
	return ""
}

func isNumber(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

// waitSince tells of requests in the queue that were made before the story begins.
func (t *teller) waitSince(told []*request, wanted func(queue.Request) bool) {
	for _, r := range t.State.Scheduler.Queue {
		if wanted(r) && !slices.ContainsFunc(told, func(q *request) bool { return q.id == r.RequestID }) {
			q := &request{id: r.RequestID, song: r.Song, by: who(r.Listener)}
			t.sayNow("%s asked for %s before %s%s.", q.by, q.song, t.clock(t.begins()), t.waits(q))
		}
	}
}

// asked follows each request that is wanted through the log.
func (t *teller) asked(wanted func(*messages.SongQueued) bool) []*request {
	var all []*request
	byID := map[string]*request{}
	var on *request
	for _, r := range t.Server {
		switch e := r.Event.(type) {
		case *messages.SongQueued:
			if wanted(e) {
				q := &request{id: e.GetRequestId(), song: e.GetSong(), by: who(e.GetListenerName()), asked: r.Time}
				all = append(all, q)
				if q.id != "" {
					byID[q.id] = q
				}
			}
		case *messages.SongWaits:
			if q := byID[e.GetRequestId()]; q != nil {
				q.vain, q.why = r.Time, e.GetReason()
			}
		case *messages.SongCancelled:
			if q := byID[e.GetRequestId()]; q != nil {
				q.cancelled, q.byHost = r.Time, e.GetRole() == messages.Role_ROLE_HOST
			}
		case *messages.SkipDecided:
			if on != nil && on.song == e.GetSong() {
				if on.voted = "the host skipped it"; e.GetVotes() > 0 {
					on.voted = plural(uint64(e.GetVotes()), "vote") + " skipped it"
				}
			}
		case *messages.SongSkipped:
			if q := byID[e.GetRequestId()]; q != nil {
				q.skipped, q.reason = r.Time, e.GetReason()
			}
		case *messages.SongChosen:
			if on = byID[e.GetRequestId()]; on != nil {
				on.chosen = r.Time
			}
		case *messages.SongStarted:
			if on != nil && on.song == e.GetSong().GetName() {
				on.started = time.UnixMicro(e.GetPlayAtUnixUs())
			}
		case *messages.SongEnded:
			switch heard := e.GetHeard(); {
			case on == nil || on.song != e.GetSong():
			case heard == messages.Heard_HEARD_NOTHING || heard == messages.Heard_HEARD_LITTLE: // it waits again
				on.vain, on.why = r.Time, e.GetReason()
				on.chosen, on.started = time.Time{}, time.Time{}
			default:
				on.ended, on.reason = time.UnixMicro(e.GetNextPlayAtUnixUs()), e.GetReason()
			}
			on = nil
		}
	}
	return all
}

// became says what became of the request.
func (t *teller) became(q *request) {
	text := fmt.Sprintf("%s asked for %s", q.by, q.song)
	if !q.vain.IsZero() {
		text += fmt.Sprintf("; at %s its turn came, but it could not be played: %s", t.clock(q.vain), q.why)
	}
	switch {
	case !q.cancelled.IsZero() && q.byHost:
		text += fmt.Sprintf("; at %s the host cancelled that", t.clock(q.cancelled))
	case !q.cancelled.IsZero():
		text += fmt.Sprintf("; at %s they took that back", t.clock(q.cancelled))
	case !q.skipped.IsZero():
		text += fmt.Sprintf("; at %s it was skipped: %s", t.clock(q.skipped), q.reason)
	case !q.ended.IsZero() && q.started.IsZero():
		text += fmt.Sprintf("; it ended at %s", t.clock(q.ended))
	case !q.ended.IsZero() && q.ended.After(t.Now): // the server has sent it, but it is still heard
		text += fmt.Sprintf("; it plays from %s to %s", t.clock(q.started), t.clock(q.ended))
		if q.voted != "" {
			text += ", not whole: " + q.voted
		}
	case !q.ended.IsZero():
		text += fmt.Sprintf("; it was played from %s to %s", t.clock(q.started), t.clock(q.ended))
		if q.reason != "" {
			text += ", not whole: " + cmp.Or(q.voted, q.reason)
		}
	case !q.started.IsZero() && q.started.After(t.Now):
		text += fmt.Sprintf("; it is next, at %s", t.clock(q.started))
	case !q.started.IsZero():
		text += fmt.Sprintf("; it has been playing since %s", t.clock(q.started))
	case !q.chosen.IsZero():
		text += fmt.Sprintf("; its turn came at %s, and it is about to be played", t.clock(q.chosen))
	default:
		text += t.waits(q)
	}
	t.say(q.asked, "%s.", text)
}

// waits says where the request stands, and for how long about.
func (t *teller) waits(q *request) string {
	queue := t.State.Scheduler.Queue
	for at, r := range queue {
		if r.RequestID != q.id {
			continue
		}
		wait, known := t.rest()
		var before []string
		for _, b := range queue[:at] {
			before = append(before, b.Song)
			length, is := t.length(b.Song)
			wait, known = wait+length, known && is
		}
		text := fmt.Sprintf("; it has not been played yet: it is the %s in the queue", ordinal(at+1))
		if len(before) > 0 {
			text += ", behind " + strings.Join(before[:min(len(before), 5)], ", ")
			if len(before) > 5 {
				text += fmt.Sprintf(" and %d more", len(before)-5)
			}
		}
		if p := t.State.Pacer.Song; p != nil {
			text += fmt.Sprintf(", and %s is on", p.Name)
		}
		if reason := t.State.Scheduler.Wait(r); reason != "" {
			text += "; it waits because it cannot be played now: " + reason
		} else if known {
			text += fmt.Sprintf("; its turn comes in about %s", span(max(wait, time.Millisecond)))
		}
		return text
	}
	return "; what became of it is not known"
}

// rest is how long the song that is on still takes.
func (t *teller) rest() (time.Duration, bool) {
	p := t.State.Pacer.Song
	if p == nil {
		return 0, true
	}
	return max(0, time.UnixMicro(p.PlayAt+p.DurationUs).Sub(t.Now)), true
}

func (t *teller) length(song string) (time.Duration, bool) {
	if found := t.State.Catalog.Find(song); found != nil {
		return micros(found.GetDurationUs()), true
	}
	return 0, false
}

// refused tells why requests were not taken.
func (t *teller) refused(wanted func(*messages.PlayRefused) bool) {
	for i, r := range t.Server {
		e, is := r.Event.(*messages.PlayRefused)
		if !is || !wanted(e) {
			continue
		}
		t.say(r.Time, "%s asked for %q and was refused: %s.", who(e.GetListenerName()), e.GetWish(), t.why(i, e))
	}
}

// why is the refusal's reason in words; i is the event's place in the story.
func (t *teller) why(i int, e *messages.PlayRefused) string {
	switch e.GetReason() {
	case messages.PlayRefused_REASON_NO_SUCH_SONG:
		return "there is no song of that name or number in the folder"
	case messages.PlayRefused_REASON_QUEUE_FULL:
		return "the queue was full"
	case messages.PlayRefused_REASON_AMBIGUOUS:
		return "several songs match that"
	case messages.PlayRefused_REASON_TOO_MANY_OF_PERSON:
		return "they had as many songs waiting as one person may have"
	case messages.PlayRefused_REASON_TOO_MANY_OF_ADDRESS:
		return "those of their address had as many songs waiting as one address may have"
	case messages.PlayRefused_REASON_ALREADY_REQUESTED:
		for _, r := range slices.Backward(t.Server[:i]) {
			if q, is := r.Event.(*messages.SongQueued); is && meant(e, q.GetSong()) {
				return fmt.Sprintf("%s was in the queue already, since %s, for %s", q.GetSong(), t.clock(r.Time), who(q.GetListenerName()))
			}
		}
		return "it was in the queue already"
	}
	return "the server did not say why"
}

// meant says whether the request was for the song. A number alone does not tell, because songs come and go.
func meant(e *messages.PlayRefused, song string) bool {
	return song == e.GetSong() || song == e.GetWish() || song == e.GetWish()+".mp3"
}

// who is the name of the person who asked; those with nc, or conga play, have none.
func who(name string) string {
	if name == "" {
		return "somebody who gave no name"
	}
	return name
}
