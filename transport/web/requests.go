package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/messages/plain"
	"conga/transport"
)

// wish is what a guest of the page asks for: a song, its request back, or the next song. Two wishes with one id count
// once.
type wish struct{ Song, ID, Name string }

// asks reads a guest's wish, and refuses what pages of other sites can send.
func asks(answer func(http.ResponseWriter, *http.Request, *transport.Visit, wish)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !only(w, r, http.MethodPost) {
			return
		}
		// A page of another site cannot send this type without asking this server first.
		if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/json" {
			fail(w, http.StatusUnsupportedMediaType, errors.New("send application/json"))
			return
		}
		visit := transport.VisitOf(r.Context())
		if visit == nil {
			fail(w, http.StatusNotFound, errors.New("songs are requested at the server's port"))
			return
		}
		var ask wish
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&ask); err != nil {
			fail(w, http.StatusBadRequest, errors.New("send {\"song\": name, \"id\": a new uuid, \"name\": yours}"))
			return
		}
		if ask.ID == "" {
			ask.ID = uuid.NewString()
		}
		ask.Name = guestName(ask.Name)
		answer(w, r, visit, ask)
	}
}

// request asks for a song in the name of a guest.
func (s *site) request(w http.ResponseWriter, r *http.Request, visit *transport.Visit, ask wish) {
	answer, unsure, err := visit.Request(r, ask.Song, ask.ID, ask.Name)
	var said proto.Message
	if answer != nil {
		said = answer.Said
	}
	switch said := said.(type) {
	case *messages.SongQueued:
		text := "It is in the queue."
		if unsure {
			text = "It is in the queue, but not on the server's disk yet."
		} else if when := transport.TurnOf(answer.Turn); when != "" {
			text = when
		}
		reply(w, http.StatusOK, map[string]string{"song": said.GetSong(), "text": text})
	case *messages.PlayRefused:
		fail(w, http.StatusConflict, refusal(said.GetReason()))
	default:
		failed(w, err)
	}
}

func refusal(reason messages.PlayRefused_Reason) error {
	switch reason {
	case messages.PlayRefused_REASON_ALREADY_REQUESTED:
		return errors.New("this song is in the queue already")
	case messages.PlayRefused_REASON_NO_SUCH_SONG:
		return errors.New("this song is not there any more")
	case messages.PlayRefused_REASON_AMBIGUOUS:
		return errors.New("several songs match: choose one of the list")
	case messages.PlayRefused_REASON_TOO_MANY_OF_PERSON:
		return errors.New("you have as many songs waiting as one may have: cancel one, or wait until one has played")
	case messages.PlayRefused_REASON_TOO_MANY_OF_ADDRESS:
		return errors.New("those of your address have as many songs waiting as one address may have: wait until some have played")
	}
	return errors.New("the queue is full: try again later")
}

// cancel takes a guest's request back.
func (s *site) cancel(w http.ResponseWriter, r *http.Request, visit *transport.Visit, ask wish) {
	text, done, err := visit.Cancel(r, ask.Song, ask.ID, ask.Name)
	settled(w, text, done, err)
}

// skip is a guest's vote for the next song.
func (s *site) skip(w http.ResponseWriter, r *http.Request, visit *transport.Visit, ask wish) {
	text, done, err := visit.Skip(r, ask.ID, ask.Name)
	settled(w, text, done, err)
}

func settled(w http.ResponseWriter, text string, done bool, err error) {
	switch {
	case err != nil:
		failed(w, err)
	case !done:
		fail(w, http.StatusConflict, errors.New(text))
	default:
		reply(w, http.StatusOK, map[string]string{"text": text})
	}
}

func failed(w http.ResponseWriter, err error) {
	code := http.StatusServiceUnavailable
	if errors.Is(err, transport.ErrTooMuch) {
		code = http.StatusTooManyRequests
	}
	fail(w, code, err)
}

// onThePage tells a guest of the page from a listener of the same name; byProgram one that uses neither.
const onThePage, byProgram = " (page)", " (guest)"

// guestName is the guest's name in the queue and the log.
func guestName(said string) string { return called(said, onThePage) }

func called(said, where string) string {
	name := strings.Join(strings.Fields(plain.Text(said, messages.MaxName-len(where))), " ")
	if name == "" {
		name = "a guest"
	}
	return name + where
}
