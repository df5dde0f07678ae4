package queue

import (
	"cmp"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// householdShare is how many persons' share of the queue one address has. It is more than one because a family or an
// office may be behind an address, and bounded because ids and cookies cost nothing.
const householdShare = 5

// personOf says whose share a request uses up. A listener is known by its id.
func personOf(person, listenerID string) string { return cmp.Or(person, listenerID) }

// request queues the song or refuses it. A refusal is an event for members of the chain only:
// strangers could ask without end and fill the log.
func (s State) request(cmd *messages.RequestPlay) []proto.Message {
	if _, again := s.Answer(cmd.GetRequestId()); again {
		return nil
	}
	song, reason := s.grant(cmd)
	switch {
	case song != "":
		return []proto.Message{&messages.SongQueued{
			RequestId:    cmd.GetRequestId(),
			ListenerId:   cmd.GetListenerId(),
			ListenerName: cmd.GetListenerName(),
			Song:         song,
			Person:       cmd.GetPerson(),
			Household:    cmd.GetHousehold(),
		}}
	case cmd.GetListenerId() == "":
		return nil
	}
	return []proto.Message{s.refusal(cmd, reason)}
}

// grant is the song that the request gets, or the reason why it is refused.
func (s State) grant(cmd *messages.RequestPlay) (song string, reason messages.PlayRefused_Reason) {
	song = s.meant(cmd)
	switch {
	case song == "" && cmd.GetMatches() > 1:
		return "", messages.PlayRefused_REASON_AMBIGUOUS
	case song == "":
		return "", messages.PlayRefused_REASON_NO_SUCH_SONG
	case s.waits(song):
		return "", messages.PlayRefused_REASON_ALREADY_REQUESTED
	case len(s.Queue) >= maxQueue:
		return "", messages.PlayRefused_REASON_QUEUE_FULL
	}
	if reason = s.tooMany(cmd); reason != 0 {
		return "", reason
	}
	return song, 0
}

// meant is the song that the request means; "" if it means none. A song that the wish names exactly comes first.
func (s State) meant(cmd *messages.RequestPlay) string {
	if song, exists := s.Find(cmd.GetWish()); exists {
		return song
	}
	if _, exists := s.Songs.Find(cmd.GetSong()); exists {
		return cmd.GetSong()
	}
	return ""
}

// tooMany says whether the person or the address already has as many requests waiting as it may.
func (s State) tooMany(cmd *messages.RequestPlay) messages.PlayRefused_Reason {
	each := s.Rules.Each
	if each == 0 || cmd.GetRole() == messages.Role_ROLE_HOST {
		return 0
	}
	person, household := personOf(cmd.GetPerson(), cmd.GetListenerId()), cmd.GetHousehold()
	own, together := 0, 0
	for _, r := range s.Queue {
		if r.Person == person {
			own++
		}
		if household != "" && r.Household == household {
			together++
		}
	}
	switch {
	case own >= each:
		return messages.PlayRefused_REASON_TOO_MANY_OF_PERSON
	case together >= householdShare*each:
		return messages.PlayRefused_REASON_TOO_MANY_OF_ADDRESS
	}
	return 0
}

func (s State) refusal(cmd *messages.RequestPlay, reason messages.PlayRefused_Reason) *messages.PlayRefused {
	return &messages.PlayRefused{
		RequestId:    cmd.GetRequestId(),
		ListenerId:   cmd.GetListenerId(),
		ListenerName: cmd.GetListenerName(),
		Wish:         cmd.GetWish(),
		Reason:       reason,
		Song:         s.meant(cmd),
	}
}

// Reply is the answer to a request, once its events are applied. A request that was answered before gets the same
// answer; a stranger's refusal is in no event, so it is worked out again.
func (s State) Reply(cmd *messages.RequestPlay, events ...proto.Message) *messages.PlayAnswer {
	a, known := s.Answer(cmd.GetRequestId())
	if len(events) > 0 { // a request may have no id
		queued, is := events[0].(*messages.SongQueued)
		if a, known = (Answer{Song: queued.GetSong()}), true; !is {
			a.Reason = events[0].(*messages.PlayRefused).GetReason()
		}
	}
	switch {
	case !known:
		_, a.Reason = s.grant(cmd)
	case a.Song != "":
		answer := &messages.PlayAnswer{Said: &messages.SongQueued{RequestId: cmd.GetRequestId(), ListenerName: cmd.GetListenerName(), Song: a.Song}}
		if at := s.place(a.Song, cmd.GetRequestId()); at >= 0 {
			answer.Turn = s.turns(cmd.GetAtUnixUs())[at]
		}
		return answer
	}
	answer := &messages.PlayAnswer{Said: s.refusal(cmd, a.Reason)}
	switch a.Reason {
	case messages.PlayRefused_REASON_TOO_MANY_OF_PERSON:
		answer.Waiting = s.Rules.Each
	case messages.PlayRefused_REASON_TOO_MANY_OF_ADDRESS:
		answer.Waiting = householdShare * s.Rules.Each
	}
	return answer
}

// cancel takes a request out of the queue. People may cancel their own requests, the host anybody's. A refusal is no
// event.
func (s State) cancel(cmd *messages.CancelRequest) []proto.Message {
	if _, again := s.Answer(cmd.GetRequestId()); again {
		return nil
	}
	at, refused := s.cancels(cmd)
	if refused != messages.CancelDone {
		return nil
	}
	r := s.Queue[at]
	return []proto.Message{&messages.SongCancelled{
		Song: r.Song, RequestId: r.RequestID, ListenerName: r.Listener, CancelId: cmd.GetRequestId(), Role: cmd.GetRole(),
	}}
}

// Cancelled is the answer to a CancelRequest, once its events are applied.
func (s State) Cancelled(cmd *messages.CancelRequest) *messages.CancelAnswer {
	if a, known := s.Answer(cmd.GetRequestId()); known {
		return &messages.CancelAnswer{Song: a.Song}
	}
	_, refused := s.cancels(cmd)
	return &messages.CancelAnswer{Refused: refused}
}

// cancels finds the request that is meant, by words or by its place in REQUESTS; without a wish, the person's newest.
func (s State) cancels(cmd *messages.CancelRequest) (at int, refused messages.CancelRefusal) {
	person := personOf(cmd.GetPerson(), cmd.GetListenerId())
	mine := func(r Request) bool { return r.Person == person && person != "" }
	if cmd.GetWish() == "" {
		at = -1
		for i, r := range s.Queue {
			if mine(r) && (at < 0 || r.Arrival > s.Queue[at].Arrival) {
				at = i
			}
		}
		if at < 0 {
			return 0, messages.CancelNone
		}
		return at, messages.CancelDone
	}
	may := func(r Request) bool { return mine(r) || cmd.GetRole() == messages.Role_ROLE_HOST }
	meant := s.waiting(cmd.GetWish())
	allowed := slices.DeleteFunc(slices.Clone(meant), func(i int) bool { return !may(s.Queue[i]) })
	switch {
	case len(allowed) == 1:
		return allowed[0], messages.CancelDone
	case len(allowed) > 1:
		return 0, messages.CancelSeveral
	case len(meant) > 0:
		return 0, messages.CancelNotYours
	}
	return 0, messages.CancelNotQueued
}

// waiting lists the places of the requests that fit the wish best.
func (s State) waiting(wish string) (places []int) {
	song, exists := s.named(wish)
	number, err := strconv.Atoi(wish)
	w, best := wordsOf(wish), noMatch
	for i, r := range s.Queue {
		if r.Song == wish || exists && r.Song == song {
			return []int{i}
		}
		about, known := s.Songs.Find(r.Song)
		if !known {
			about = newSong(&messages.Song{Name: r.Song})
		}
		fits := w.match(about)
		if fits < best {
			best, places = fits, nil
		}
		if fits == best && fits < noMatch {
			places = append(places, i)
		}
	}
	if err == nil && number >= 1 && number <= len(s.Queue) {
		return []int{number - 1}
	}
	return places
}
