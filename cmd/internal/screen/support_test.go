package screen

import (
	"flag"
	"fmt"
	"regexp"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// trailing matches trailing spaces, which nobody sees on a terminal or in a review.
var trailing = regexp.MustCompile(`(?m) +$`)

var rewrite = flag.Bool("rewrite", false, "write the golden pictures anew")

func playing(listeners int) Snapshot {
	s := Snapshot{
		Song: "bach.mp3", Title: "Prelude in C major", Artist: "J. S. Bach", Asked: "amy",
		Elapsed: 13 * time.Second, Duration: 39 * time.Second,
		Queue: []Queued{
			{Song: "beethoven.mp3", Asked: "bob", In: 26 * time.Second},
			{Song: "pachelbel.mp3", Title: "Canon in D", Artist: "Johann Pachelbel", In: -1},
		},
		Sound: "on the loudspeaker", Levels: [2]float64{0.5, 0.25},
	}
	for i := range listeners {
		s.Chain = append(s.Chain, Member{
			Name: Name(i), Note: fmt.Sprint("received ", 1000+i), Measured: true, Kill: i < listeners-1,
			Buffered: 1900*time.Millisecond - time.Duration(i%6)*300*time.Millisecond, Speaker: i == listeners-1,
		})
	}
	return s
}

// update returns the model after the messages.
func update(m model, msgs ...tea.Msg) model {
	for _, msg := range msgs {
		next, _ := m.Update(msg)
		m = next.(model)
	}
	return m
}

func noAnswer(string) []string { return nil }

// started is the time of these tests' stories.
var started = time.Date(2026, 11, 26, 20, 15, 0, 0, time.UTC)

// songs finds a radio's songs by words in their names.
func songs(words string) Found {
	var found Found
	for _, song := range []Song{
		{Name: "bach.mp3"},
		{Name: "beethoven.mp3", Title: "Für Elise", Artist: "Ludwig van Beethoven", Duration: 170 * time.Second},
		{Name: "pachelbel.mp3", Title: "Canon in D"},
		{Name: "zelenka.mp3"},
	} {
		if strings.Contains(song.Name, words) {
			found.Songs = append(found.Songs, song)
		}
	}
	if words == "" {
		found.More = "... and 197 more: SONGS 2 shows the next ones"
	}
	return found
}

// of makes the model of a screen that has everything; change may remove something.
func of(ask func(string) []string, change func(*Source)) model {
	source := Source{Title: "you", Volume: func(int) {}, Earlier: func(by time.Duration) string { return by.String() }, search: songs, Help: []string{"A chain of listeners."}}
	if change != nil {
		change(&source)
	}
	m := newModel(source, ask)
	m.now = func() time.Time { return started }
	return update(m, m.Init()())
}

func happened(text string) News { return News{At: started, Kind: Event, Text: text} }

// joined is the snapshot of a listener: a part of the chain, with itself marked.
func joined() Snapshot {
	s := playing(0)
	s.Part = true
	s.Chain = []Member{
		{Name: "…", Role: Gap},
		{Name: "dora"},
		{Name: "cem", Role: Feeder, Note: "feeds you"},
		{Name: "amy", Role: Self, Measured: true, Buffered: 1900 * time.Millisecond},
		{Name: "zoe", Role: Fed, Note: "hears from you"},
	}
	s.Facts = []string{"amy, at the radio of radio.example:7000", "you carry the music for zoe; 12.3 MB passed on", "nothing is lost"}
	return s
}

// served is the snapshot of a server.
func served() Snapshot {
	s := playing(3)
	for i := range s.Chain {
		s.Chain[i] = Member{Name: s.Chain[i].Name, Note: "192.0.2.1"}
	}
	s.Sound, s.Facts = "heard by those who listen; here nothing plays", []string{"4 songs; 12.3 MB sent, 163 kbit/s now"}
	return s
}

func asServer(s *Source) {
	s.Volume, s.Earlier, s.Title, s.Wave = nil, nil, "this radio", "what goes out"
	s.Head = []string{"others join with: conga join 'conga://192.0.2.1:7000?key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"}
	s.CodeText = "http://192.0.2.1:7000/"
	for range 17 {
		s.Code = append(s.Code, strings.Repeat("▀", 33))
	}
}

func asDemo(s *Source) {
	s.Earlier = nil
	s.Kill = func(name string) string { return name + " is killed" }
	s.Head = []string{"see and hear it in a browser: http://127.0.0.1:40000/"}
}

// run runs the command that followed from a key, and returns the model after its results.
func run(m model, cmd tea.Cmd) model {
	if cmd == nil {
		return m
	}
	switch msg := cmd().(type) {
	case nil:
	case tea.BatchMsg:
		for _, cmd := range msg {
			m = run(m, cmd)
		}
	default:
		next, more := m.Update(msg)
		m = run(next.(model), more)
	}
	return m
}

// press presses keys and runs the commands that follow.
func press(m model, keys ...tea.KeyPressMsg) model {
	for _, key := range keys {
		next, cmd := m.Update(key)
		m = run(next.(model), cmd)
	}
	return m
}

func letters(text string) (keys []tea.KeyPressMsg) {
	for _, r := range text {
		keys = append(keys, tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return keys
}

var (
	enter = tea.KeyPressMsg{Code: tea.KeyEnter}
	esc   = tea.KeyPressMsg{Code: tea.KeyEsc}
	up    = tea.KeyPressMsg{Code: tea.KeyUp}
	down  = tea.KeyPressMsg{Code: tea.KeyDown}
	tab   = tea.KeyPressMsg{Code: tea.KeyTab}
	space = tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
)
