package screen

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"conga/cmd/internal/console"
)

// The colours are of the terminal's own palette, which suits light and dark backgrounds. Words say the same as
// the colours, for NO_COLOR and for people who cannot tell colours apart.
var (
	bold   = lipgloss.NewStyle().Bold(true)
	dim    = lipgloss.NewStyle().Faint(true)
	accent = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	chosen = lipgloss.NewStyle().Reverse(true)
)

const (
	// twoColumns and threeColumns are the widths from which on the panels stand beside each other, in cells.
	twoColumns, threeColumns = 72, 132
	// leastNews is how many rows there should be for the news.
	leastNews = 6
	// leastWave and mostWave bound the rows of the picture of the sound, which takes what the lists do not need.
	leastWave, mostWave = 3, 30
	// leastBesideCode is how many rows there must be besides those of the QR code.
	leastBesideCode = 12
	// hintRow is the height from which on the keys are named below the input, in rows.
	hintRow = 12
)

func (m model) View() tea.View {
	rows := m.rows()
	if m.ended {
		rows = make([]string, max(1, m.height))
	}
	view := tea.NewView(strings.Join(rows, "\n"))
	view.AltScreen = true
	view.WindowTitle = "conga"
	if name := m.snapshot.headline(); m.snapshot.Song != "" { // headline is clean
		view.WindowTitle = name + " - conga"
	}
	if m.ascii {
		view.WindowTitle = console.ASCII(view.WindowTitle)
	}
	if cursor := m.input.Cursor(); cursor != nil && m.width > 0 {
		cursor.Y = len(rows) - 1
		if m.height >= hintRow {
			cursor.Y--
		}
		cursor.X = min(cursor.X, m.width-1)
		view.Cursor = cursor
	}
	return view
}

// rows is the picture: height rows of at most width cells. If there is too little room, the song
// and the input are the last to go.
func (m model) rows() []string {
	width, height := max(1, m.width), max(1, m.height)
	m.input.SetWidth(max(1, width-lipgloss.Width(m.input.Prompt)-1))
	m.input.Placeholder = ansi.Truncate(m.placeholder(), max(1, width-3), "")

	bottom := []string{m.input.View()}
	if height >= hintRow {
		bottom = append(bottom, dim.Render(m.keys(width)))
	}
	room := height - len(bottom)
	rows := m.top(width)
	if m.overlay == code { // it needs all the room
		rows = stack([]panel{m.codePanel()}, width, room)
	}
	rows = rows[:min(len(rows), room)]
	if left := room - len(rows); left > 2 && m.overlay != code {
		rows = append(rows, "")
		rows = append(rows, m.middle(width, left-1)...)
	}
	for len(rows) < room {
		rows = append(rows, "")
	}
	rows = append(rows, bottom...)
	for i, row := range rows {
		rows[i] = ansi.Truncate(row, width, "…")
		if m.ascii { // some substitutes are longer
			rows[i] = ansi.Truncate(console.ASCII(row), width, "...")
		}
	}
	return rows
}

func (m model) placeholder() string {
	if m.source.Ask == nil {
		return "a word of a song's name; ? helps"
	}
	return "a word of a song's name, or SONGS, PLAY <name or number>, REQUESTS, END"
}

// keys names the keys that have an effect now.
func (m model) keys(width int) string {
	if m.overlay != nothing {
		return "any key goes back"
	}
	var keys []string
	switch {
	case m.source.Kill != nil && m.target >= 0:
		keys = append(keys, "Ctrl-K kills "+clean(m.targetName()))
	case m.source.Kill != nil:
		keys = append(keys, "Tab chooses whom to kill")
	}
	switch {
	case m.chosen != "":
		keys = append(keys, "Enter asks for it", "Esc clears")
	case m.input.Value() != "":
		keys = append(keys, "Esc clears")
	case len(m.found.Songs) > 0:
		keys = append(keys, "type to search", "↑↓ choose a song")
	default:
		keys = append(keys, "type to search")
	}
	if m.input.Value() != "" { // the other keys are text now
		return strings.Join(append(keys, "Ctrl-C ends"), " · ")
	}
	if m.source.Volume != nil {
		keys = append(keys, "+ - volume", "Space mutes")
	}
	if m.source.Code != nil {
		keys = append(keys, "= QR code")
	}
	keys = append(keys, "? help", "Ctrl-C ends")
	for len(keys) > 1 && lipgloss.Width(strings.Join(keys, " · ")) > width {
		keys = append(keys[:len(keys)-3:len(keys)-3], keys[len(keys)-2:]...)
		if len(keys) <= 3 {
			break
		}
	}
	return strings.Join(keys, " · ")
}

// top is what is heard now.
func (m model) top(width int) []string {
	s := m.snapshot
	song := "♪ " + bold.Render(s.headline())
	rows := []string{ends(song, dim.Render(s.beside(width-lipgloss.Width(song)-2)), width), m.bar(width)}
	for _, line := range m.source.Head {
		rows = append(rows, strings.Split(ansi.Hardwrap(clean(line), max(1, width), false), "\n")...)
	}
	meters := m.meters(width)
	words := wrap(clean(s.Sound), width) // it may say what to type
	switch {
	case len(words) == 1 && lipgloss.Width(words[0])+lipgloss.Width(meters)+2 <= width:
		return append(rows, ends(dim.Render(words[0]), meters, width))
	case meters != "":
		rows = append(rows, meters)
	}
	for _, row := range words {
		rows = append(rows, dim.Render(row))
	}
	return rows
}

// bar is the song's progress between its two times.
func (m model) bar(width int) string {
	left, right := clock(min(m.snapshot.Elapsed, m.snapshot.Duration)), clock(m.snapshot.Duration)
	return left + " " + meter(width-len(left)-len(right)-2, share(m.snapshot.Elapsed, m.snapshot.Duration), accent) + " " + right
}

// meters are the volume and how loud the music is.
func (m model) meters(width int) string {
	if m.source.Volume == nil {
		return ""
	}
	cells := min(20, max(4, width/12))
	volume := fmt.Sprintf("volume %s %3d %%", meter(cells, float64(m.volume)/100, accent), m.volume)
	if m.mute {
		volume = "volume " + bad.Render("mute") + strings.Repeat(" ", cells+2)
	}
	left, right := m.snapshot.Levels[0], m.snapshot.Levels[1]
	return volume + "  L " + meter(cells, decibels(left), good) + " R " + meter(cells, decibels(right), good)
}

// middle is all that is not the song and the input.
func (m model) middle(width, height int) []string {
	if m.overlay == help {
		return stack([]panel{m.helpPanel(width)}, width, height)
	}
	columns := m.columns(width, height)
	var wave []string
	if spare := height - needs(columns) - 1; spare >= leastWave {
		wave = m.waveRows(width, min(spare, mostWave))
	}
	return append(wave, beside(columns, width, height-len(wave))...)
}

// waveRows are the picture of the levels and an empty row; none if there are no levels.
func (m model) waveRows(width, height int) []string {
	switch {
	case m.source.Wave != "":
		return append(append([]string{title(m.source.Wave, width)}, m.wave(width, height-1)...), "")
	case m.source.Volume != nil:
		return append(m.wave(width, height), "")
	}
	return nil
}

// columns arranges the panels for the width.
func (m model) columns(width, height int) []column {
	queue, songs, chain, happened := m.queuePanel(), m.songsPanel(), m.chainPanel(), m.newsPanel()
	facts := m.factsPanel(width)
	var columns []column
	switch side := m.besideLargeCode(width, height); {
	case side > 0:
		large := m.codePanel()
		large.wants = 1 + 2*len(m.source.Code)
		return []column{{side, withFacts(facts, queue, happened)}, {width - 2*side, []panel{large}}, {side, []panel{songs, chain}}}
	case width >= threeColumns:
		columns = []column{{4, withFacts(facts, queue, happened)}, {3, []panel{songs}}, {3, []panel{chain}}}
	case width < twoColumns:
		return []column{{1, []panel{queue, chain, happened, songs}}}
	case facts.wants > 1:
		columns = []column{{1, []panel{facts, queue, songs}}, {1, []panel{chain, happened}}}
	default:
		columns = []column{{1, withFacts(facts, queue, chain)}, {1, []panel{songs, happened}}}
	}
	if at := len(columns) / 2; m.source.Code != nil && height >= len(m.source.Code)+leastBesideCode {
		columns[at].panels = append([]panel{m.codePanel()}, columns[at].panels...)
	}
	return columns
}

// besideLargeCode is how many cells are left on each side of a QR code of twice its size, which a phone reads from afar; 0:
// there is no room for it.
func (m model) besideLargeCode(width, height int) int {
	if m.ascii || len(m.source.Code) == 0 || height < 2*len(m.source.Code)+2 {
		return 0
	}
	if side := (width - 2*gutter - 2*lipgloss.Width(m.source.Code[0])) / 2; side >= twoColumns/2 {
		return side
	}
	return 0
}

// needs is how many rows the columns would fill.
func needs(columns []column) (rows int) {
	for _, c := range columns {
		sum := 0
		for _, p := range c.panels {
			if p.wants == unbounded {
				sum += 1 + leastNews
				continue
			}
			sum += 1 + p.wants
		}
		rows = max(rows, sum)
	}
	return rows
}
