package screen

import (
	"strings"
	"time"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"conga/cmd/internal/console"
	"conga/messages"
)

const (
	// keptNews is how many lines of news the picture remembers: more than the highest
	// terminal shows.
	keptNews = 200
	// keptLevels is how far back the picture of the sound goes, in snapshots.
	keptLevels = 512
	// searchAgain is after how many snapshots the songs are asked for again, because the folder may have changed.
	searchAgain = 300
	// searchSoon is the same while no song is found.
	searchSoon = 20
	// volumeStep is how much one key changes the volume, in percent.
	volumeStep = 10
)

// Messages to the model, besides a Snapshot and News.
type (
	answerMsg []string
	foundMsg  struct {
		words string
		found Found
	}
)

// overlay is what lies over the picture.
type overlay int

const (
	nothing overlay = iota
	help
	code // the QR code
)

// model is the picture. Update and View are pure, except for the commands that ask the Source.
type model struct {
	source        Source
	ask           func(line string) []string
	now           func() time.Time // stamps what is typed here
	ascii         bool             // the terminal shows only ASCII
	width, height int
	snapshot      Snapshot
	levels        []float64 // the louder side, oldest first
	news          []News
	input         textinput.Model
	overlay       overlay

	found     Found
	asked     string // the words that are searched for now
	searching bool
	entered   bool   // Enter was pressed while searching: it means what is found for what is typed
	age       int    // of found, in snapshots
	chosen    string // the song under the cursor; empty: none
	first     int    // place of the first song that is shown

	volume int // percent
	mute   bool
	target int // place in the chain of the listener to be killed; -1: none
	ended  bool
}

func newModel(source Source, ask func(line string) []string) model {
	input := textinput.New()
	input.Prompt = "> "
	input.CharLimit = messages.MaxLine - 1
	plain := textinput.StyleState{Placeholder: dim, Suggestion: dim}
	input.SetStyles(textinput.Styles{Focused: plain, Blurred: plain})
	input.SetVirtualCursor(false) // the terminal's own cursor needs no timer to blink
	input.Focus()
	return model{source: source, ask: ask, now: time.Now, width: 80, height: 24, input: input, volume: 100, target: -1}
}

func (m model) Init() tea.Cmd {
	return func() tea.Msg { return foundMsg{found: m.source.search("")} }
}

func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case Snapshot:
		return m.look(msg)
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case News:
		m = m.say(msg)
	case answerMsg:
		for _, text := range msg {
			m = m.say(News{At: m.now(), Kind: answered, Text: text})
		}
	case foundMsg:
		return m.show(msg)
	case tea.KeyPressMsg:
		return m.press(msg)
	default:
		var cmd tea.Cmd
		m.input, cmd = m.input.Update(msg)
		return m, cmd
	}
	return m, nil
}

// look takes a new snapshot.
func (m model) look(now Snapshot) (tea.Model, tea.Cmd) {
	if m.target >= 0 { // the listener may have another place now
		name := m.targetName()
		m.target = -1
		for i, member := range now.Chain {
			if member.Kill && member.Name == name {
				m.target = i
			}
		}
	}
	m.snapshot = now
	levels := append(m.levels[:len(m.levels):len(m.levels)], max(now.Levels[0], now.Levels[1]))
	m.levels = levels[max(0, len(levels)-keptLevels):]
	if m.age++; m.age >= searchAgain || m.age >= searchSoon && len(m.found.Songs) == 0 && m.words() == "" {
		return m.search()
	}
	return m, nil
}

// search asks for the songs with the words in the input. If an answer is on its way, it asks
// after that has come.
func (m model) search() (tea.Model, tea.Cmd) {
	if m.searching {
		return m, nil
	}
	words := m.words()
	m.searching, m.asked, m.age = true, words, 0
	return m, func() tea.Msg { return foundMsg{words, m.source.search(words)} }
}

// show takes the songs that were found.
func (m model) show(msg foundMsg) (tea.Model, tea.Cmd) {
	m.found, m.searching, m.age = msg.found, false, 0
	at := m.at()
	if at < 0 { // the chosen song was not found
		m.chosen, m.first = "", 0
		if msg.words != "" && msg.words == m.words() && len(m.found.Songs) > 0 {
			m.chosen = m.found.Songs[0].Name
		}
	}
	if m.words() != msg.words { // more was typed before the answer came
		return m.search()
	}
	if m.entered {
		m.entered = false
		return m.enter()
	}
	return m, nil
}

// words is what to search for; empty while a command is being typed.
func (m model) words() string {
	text := strings.TrimSpace(m.input.Value())
	if isCommand(text) {
		return ""
	}
	return text
}

// isCommand says whether the text is a command, as people type it without a picture, too. Words that songs may have in
// their names must be in capitals; in small letters they count if no song has them.
func isCommand(text string) bool {
	word, _, _ := strings.Cut(text, " ")
	switch strings.ToUpper(word) {
	case "SONGS", "PLAY", "REQUESTS":
		return true
	}
	switch word {
	case "CANCEL", "SKIP", "HISTORY", "WHO", "HELP", "OFFSET", "MEASURE", "LIVE":
		return true
	}
	return console.IsEnd(text)
}

// at is the place of the chosen song among the found ones; -1: it is not there.
func (m model) at() int {
	for i, song := range m.found.Songs {
		if song.Name == m.chosen {
			return i
		}
	}
	return -1
}

func (m model) press(key tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	name := key.String()
	if name == "ctrl+c" {
		return m.end()
	}
	m.entered = false
	if m.overlay != nothing {
		m.overlay = nothing
		return m, nil
	}
	if next, cmd, is := m.steer(name); is {
		return next, cmd
	}
	before := m.words()
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(key)
	if m.words() == before {
		return m, cmd
	}
	next, search := m.search()
	return next, tea.Batch(cmd, search)
}

// steer carries out keys that are no text.
func (m model) steer(key string) (tea.Model, tea.Cmd, bool) {
	switch key {
	case "enter":
		next, cmd := m.enter()
		return next, cmd, true
	case "esc":
		return m.clear()
	case "up":
		return m.move(-1), nil, true
	case "down":
		return m.move(+1), nil, true
	case "pgup":
		return m.move(-10), nil, true
	case "pgdown":
		return m.move(+10), nil, true
	case "tab":
		return m.aim(), nil, true
	case "ctrl+k", "delete":
		if m.target < 0 || m.source.Kill == nil {
			return m, nil, key == "ctrl+k"
		}
		name := m.targetName()
		m.target = -1
		return m, m.kill(name), true
	}
	if m.input.Value() != "" {
		return m, nil, false
	}
	switch key { // keys that begin no search
	case "?":
		m.overlay = help
	case "=":
		if m.source.Code == nil {
			return m, nil, false
		}
		m.overlay = code
	case ",", ".", "[", "]", "<", ">":
		if m.source.Earlier == nil {
			return m, nil, false
		}
		return m, m.shift(key), true
	case "+", "-", "space":
		if m.source.Volume == nil {
			return m, nil, false
		}
		return m.turn(key), nil, true
	default:
		return m, nil, false
	}
	return m, nil, true
}

// clear forgets the typed text and the chosen song.
func (m model) clear() (tea.Model, tea.Cmd, bool) {
	m.input.Reset()
	m.chosen, m.first, m.target = "", 0, -1
	next, cmd := m.search()
	return next, cmd, true
}

// move chooses another song.
func (m model) move(step int) model {
	if len(m.found.Songs) == 0 {
		return m
	}
	at := m.at()
	if at < 0 && step < 0 {
		at = len(m.found.Songs)
	}
	at = min(max(0, at+step), len(m.found.Songs)-1)
	m.chosen = m.found.Songs[at].Name
	return m
}

// aim chooses the next member of the chain that can be killed.
func (m model) aim() model {
	chain := m.snapshot.Chain
	for i := range chain {
		at := (m.target + 1 + i) % len(chain)
		if chain[at].Kill {
			m.target = at
			return m
		}
	}
	m.target = -1
	return m
}

// targetName is the name of the listener to be killed.
func (m model) targetName() string {
	if m.target < 0 || m.target >= len(m.snapshot.Chain) {
		return ""
	}
	return m.snapshot.Chain[m.target].Name
}

func (m model) kill(name string) tea.Cmd {
	return func() tea.Msg { return answerMsg{m.source.Kill(name)} }
}

// turn changes the volume.
func (m model) turn(key string) model {
	switch key {
	case "+":
		m.volume, m.mute = min(100, m.volume+volumeStep), false
	case "-":
		m.volume = max(0, m.volume-volumeStep)
	default:
		m.mute = !m.mute
	}
	m.source.Volume(m.heardVolume())
	return m
}

// shifts are the keys that move what is heard to an earlier or a later time.
var shifts = map[string]time.Duration{
	",": time.Millisecond, ".": -time.Millisecond, "[": 5 * time.Millisecond, "]": -5 * time.Millisecond, "<": 20 * time.Millisecond, ">": -20 * time.Millisecond,
}

func (m model) shift(key string) tea.Cmd {
	return func() tea.Msg { return answerMsg{m.source.Earlier(shifts[key])} }
}

// heardVolume is the volume at which the music is heard, in percent.
func (m model) heardVolume() int {
	if m.mute {
		return 0
	}
	return m.volume
}

// end leaves an empty screen behind, because a terminal that was resized may show some of it afterwards.
func (m model) end() (tea.Model, tea.Cmd) {
	m.ended = true
	return m, tea.Quit
}

// enter asks for the chosen song, or carries out what is typed.
func (m model) enter() (tea.Model, tea.Cmd) {
	text := strings.TrimSpace(m.input.Value())
	switch {
	case console.IsEnd(text):
		return m.end()
	case isCommand(text): // its first letters may have chosen a song
		return m.send(text)
	case m.chosen == "" && text == "":
		return m, nil
	case m.searching && m.at() <= 0: // the songs that are shown are not yet those that were typed
		m.entered = true
		return m, nil
	case m.chosen != "":
		return m.send("PLAY " + m.chosen)
	case isCommand(strings.ToUpper(text)): // no song has that word
		return m.send(text)
	}
	return m.say(News{At: m.now(), Kind: answered, Text: "no song has " + text + " in its name"}), nil
}

// send asks a line in place of the words that were searched for.
func (m model) send(line string) (tea.Model, tea.Cmd) {
	m.input.Reset()
	m.chosen, m.first = "", 0
	next, search := m.search()
	asked, answer := next.(model).command(line)
	return asked, tea.Batch(search, answer)
}

// command asks the Source a line.
func (m model) command(line string) (tea.Model, tea.Cmd) {
	m = m.say(News{At: m.now(), Kind: typed, Text: line})
	return m, func() tea.Msg { return answerMsg(m.ask(line)) }
}

// say adds a line to the news.
func (m model) say(n News) model {
	if n.Text = clean(n.Text); n.Text == "" {
		return m
	}
	all := append(m.news[:len(m.news):len(m.news)], n)
	m.news = all[max(0, len(all)-keptNews):]
	return m
}
