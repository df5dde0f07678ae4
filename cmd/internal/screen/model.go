package screen

import (
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"conga/cmd/internal/console"
	"conga/messages"
)

// keptLines is how much of what was said the picture remembers: more than the
// highest terminal shows.
const keptLines = 200

// What else reaches the model: a Snapshot, and these.
type (
	newsMsg   string
	stderrMsg string
	answerMsg []string
)

// kind is whose words a line of the pane is.
type kind int

const (
	typed kind = iota
	answered
	news
	stderr
)

type line struct {
	kind kind
	text string
}

// model is the picture. Its Update and View are pure but for the command that asks.
type model struct {
	ask           func(line string) []string
	ascii         bool // the terminal shows nothing else
	width, height int
	snapshot      Snapshot
	lines         []line
	input         textinput.Model
	history       []string // typed lines, the oldest first
	recalled      int      // place in history, len(history): none
}

func newModel(ask func(line string) []string) model {
	input := textinput.New()
	input.Prompt = "> "
	input.Placeholder = "SONGS, PLAY <name or number>, REQUESTS, END"
	input.CharLimit = messages.MaxLine - 1
	plain := textinput.StyleState{Placeholder: dim, Suggestion: dim}
	input.SetStyles(textinput.Styles{Focused: plain, Blurred: plain})
	input.SetVirtualCursor(false) // the terminal's own: it needs no timer to blink
	input.Focus()
	return model{ask: ask, width: 80, height: 24, input: input}
}

func (m model) Init() tea.Cmd { return nil }

func (m model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case Snapshot:
		m.snapshot = msg
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case newsMsg:
		m = m.say(news, string(msg))
	case stderrMsg:
		m = m.say(stderr, string(msg))
	case answerMsg:
		m = m.say(answered, msg...)
	case tea.KeyPressMsg:
		return m.press(msg)
	default:
		var cmd tea.Cmd
		m.input, cmd = m.input.Update(msg)
		return m, cmd
	}
	return m, nil
}

func (m model) press(key tea.KeyPressMsg) (tea.Model, tea.Cmd) {
	switch key.String() {
	case "ctrl+c":
		return m, tea.Quit
	case "enter":
		return m.enter()
	case "esc":
		m.input.Reset()
		m.recalled = len(m.history)
		return m, nil
	case "up":
		return m.recall(-1), nil
	case "down":
		return m.recall(+1), nil
	}
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(key)
	return m, cmd
}

func (m model) enter() (tea.Model, tea.Cmd) {
	text := strings.TrimSpace(m.input.Value())
	m.input.Reset()
	if text == "" {
		return m, nil
	}
	if console.IsEnd(text) {
		return m, tea.Quit
	}
	m.history = append(m.history[:len(m.history):len(m.history)], text)
	m.recalled = len(m.history)
	m = m.say(typed, text)
	return m, func() tea.Msg { return answerMsg(m.ask(text)) }
}

// recall brings an earlier line back into the input, or a later one.
func (m model) recall(step int) model {
	m.recalled = min(max(0, m.recalled+step), len(m.history))
	text := ""
	if m.recalled < len(m.history) {
		text = m.history[m.recalled]
	}
	m.input.SetValue(text)
	m.input.CursorEnd()
	return m
}

// say adds lines to the pane.
func (m model) say(k kind, texts ...string) model {
	lines := append([]line(nil), m.lines...)
	for _, text := range texts {
		text = clean(text)
		if text != "" {
			lines = append(lines, line{kind: k, text: text})
		}
	}
	m.lines = lines[max(0, len(lines)-keptLines):]
	return m
}

func (l line) String() string {
	if l.kind == typed {
		return "> " + l.text
	}
	return l.text
}
