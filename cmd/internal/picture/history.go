package picture

import (
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/messages/plain"
)

const (
	// maxHistory is how many songs are remembered, and maxNames how many listeners' names.
	maxHistory, maxNames = 40, 4096
)

// Played is a song that was on.
type Played struct {
	Song
	By   string `json:"by,omitempty"`
	AtUs int64  `json:"atUs"` // when it was heard first
	Cut  bool   `json:"cut,omitempty"`
}

// History is what was on and who was there, according to the events that it was given. The zero value is empty.
type History struct {
	Songs []Played // the newest first
	asked string   // who asked for the song that was chosen last
	names map[string]string
}

// Apply takes the next event.
func (h *History) Apply(e proto.Message) {
	switch e := e.(type) {
	case *messages.SongChosen:
		h.asked = plain.Text(e.GetListenerName(), messages.MaxName)
	case *messages.SongStarted:
		s := e.GetSong()
		h.Songs = append([]Played{{Song: *made(s.GetName(), s.GetTitle(), s.GetArtist(), s.GetDurationUs()), By: h.asked, AtUs: e.GetPlayAtUnixUs()}}, h.Songs...)
		h.Songs = h.Songs[:min(len(h.Songs), maxHistory)]
	case *messages.SongEnded:
		if len(h.Songs) > 0 && h.Songs[0].Name == e.GetSong() && e.GetReason() != "" {
			h.Songs[0].Cut = true
		}
	case *messages.ListenerJoined:
		h.learn(e.GetNode())
	case *messages.ListenerReturned:
		h.learn(e.GetNode())
	}
}

func (h *History) learn(n *messages.Node) {
	if h.names == nil || len(h.names) >= maxNames { // the first of them have left long ago
		h.names = map[string]string{}
	}
	h.names[n.GetId()] = who(n.GetName())
}

// Name is a listener's name.
func (h *History) Name(id string) string {
	if id == messages.ServerID || id == "" {
		return "the server"
	}
	if name, known := h.names[id]; known {
		return name
	}
	return "a listener"
}

// Told returns the songs that were heard before now, the newest first, without the one that is on.
func (h *History) Told(now time.Time) []Played {
	told := []Played{}
	for _, song := range h.Songs {
		if song.AtUs+song.DurationUs <= now.UnixMicro() || song.Cut {
			told = append(told, song)
		}
	}
	return told
}

// Wanted says whether Apply looks at events of that name.
func Wanted(kind string) bool {
	switch kind {
	case "SongChosen", "SongStarted", "SongEnded", "ListenerJoined", "ListenerReturned":
		return true
	}
	return false
}
