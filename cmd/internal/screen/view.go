package screen

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"conga/cmd/internal/console"
	"conga/messages"
)

// The terminal's own palette: it suits light and dark backgrounds. Colour only
// repeats what the words say, for NO_COLOR and for eyes that cannot tell.
var (
	bold   = lipgloss.NewStyle().Bold(true)
	dim    = lipgloss.NewStyle().Faint(true)
	accent = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
)

func (m model) View() tea.View {
	rows := m.rows()
	view := tea.NewView(strings.Join(rows, "\n"))
	view.AltScreen = true
	view.WindowTitle = "conga"
	if cursor := m.input.Cursor(); cursor != nil && m.width > 0 {
		cursor.Y = len(rows) - 1
		cursor.X = min(cursor.X, m.width-1)
		view.Cursor = cursor
	}
	return view
}

// rows is the picture, at most height rows of at most width cells; the last is the
// input. When there is no room for all, the song and the input stay longest.
func (m model) rows() []string {
	width, room := max(1, m.width), max(1, m.height)-1 // the input's row
	m.input.SetWidth(max(1, width-len(m.input.Prompt)-1))

	var rows []string
	add := func(part ...string) {
		part = part[:min(len(part), room-len(rows))]
		rows = append(rows, part...)
	}
	add(m.song(width)...)
	if room >= 10 {
		add("")
	}
	add(m.chain(width, max(1, (room-len(rows))/2))...)
	if room >= 14 {
		add("")
	}
	add(m.queue())
	if room >= 14 {
		add("")
	}
	add(m.pane(room - len(rows))...)
	for len(rows) < room {
		rows = append(rows, "")
	}
	rows = append(rows, m.input.View())
	for i, row := range rows {
		rows[i] = ansi.Truncate(row, width, "…")
		if m.ascii { // some signs become longer
			rows[i] = ansi.Truncate(console.ASCII(row), width, "...")
		}
	}
	return rows
}

func (m model) song(width int) []string {
	s := m.snapshot
	rows := []string{ends("♪ "+bold.Render(s.headline()), dim.Render(s.asked()), width), m.bar(width)}
	if s.Sound != "" {
		for _, row := range wrap(clean(s.Sound), width) { // it may say what to type
			rows = append(rows, dim.Render(row))
		}
	}
	return rows
}

// wrap breaks text between words only: the terminal library breaks options like --output behind a hyphen.
func wrap(text string, width int) []string {
	var rows []string
	for word := range strings.FieldsSeq(text) {
		if last := len(rows) - 1; last >= 0 && lipgloss.Width(rows[last])+1+lipgloss.Width(word) <= width {
			rows[last] += " " + word
			continue
		}
		rows = append(rows, word)
	}
	return rows
}

// bar is the song's progress between its two times.
func (m model) bar(width int) string {
	left, right := clock(min(m.snapshot.Elapsed, m.snapshot.Duration)), clock(m.snapshot.Duration)
	return left + " " + meter(width-len(left)-len(right)-2, share(m.snapshot.Elapsed, m.snapshot.Duration), accent) + " " + right
}

// chain is the line, and below it what each listener has, in at most room rows: those
// in the middle give way first, the last is the one that people hear.
func (m model) chain(width, room int) []string {
	members := m.snapshot.Chain
	if len(members) == 0 {
		return []string{bold.Render("server") + dim.Render(" → nobody listens yet")}
	}
	rows := []string{bold.Render(m.snapshot.chainLine())}
	nameWidth := 0
	for _, member := range members {
		nameWidth = min(max(nameWidth, lipgloss.Width(member.label())), 16)
	}
	shown := min(len(members), room-1)
	if shown < len(members) {
		shown = room - 2 // one row says how many are missing
	}
	if shown < 1 {
		return rows
	}
	for _, member := range members[:shown-1] {
		rows = append(rows, member.row(width, nameWidth))
	}
	if missing := len(members) - shown; missing > 0 {
		rows = append(rows, dim.Render(fmt.Sprintf("  … %d more …", missing)))
	}
	return append(rows, members[len(members)-1].row(width, nameWidth))
}

func (m Member) row(width, nameWidth int) string {
	name := ansi.Truncate(m.label(), nameWidth, "…")
	name += strings.Repeat(" ", nameWidth-lipgloss.Width(name))
	meterWidth := min(20, max(4, width-nameWidth-44))
	row := fmt.Sprintf("  %s  %s %4.1f s  received %d", name,
		meter(meterWidth, share(m.Buffered, messages.Slack), good), m.Buffered.Seconds(), m.Received)
	if m.Underruns > 0 {
		row += "  " + bad.Render(fmt.Sprintf("silent %d×", m.Underruns))
	}
	return row
}

func (m model) queue() string {
	if len(m.snapshot.Queue) == 0 {
		return bold.Render("queue") + dim.Render("  empty: random songs play")
	}
	row := bold.Render("queue")
	for i, song := range m.snapshot.Queue {
		row += fmt.Sprintf("  %d %s", i+1, clean(song))
	}
	return row
}

// pane is the last room lines that were said.
func (m model) pane(room int) []string {
	lines := m.lines[max(0, len(m.lines)-max(0, room)):]
	rows := make([]string, 0, len(lines))
	for _, l := range lines {
		switch l.kind {
		case typed:
			rows = append(rows, accent.Render(l.String()))
		case stderr:
			rows = append(rows, dim.Render(l.String()))
		default:
			rows = append(rows, l.String())
		}
	}
	return rows
}

// ends sets left and right at the two ends of a row; where there is no room, right goes.
func ends(left, right string, width int) string {
	gap := width - lipgloss.Width(left) - lipgloss.Width(right)
	if gap < 2 {
		return left
	}
	return left + strings.Repeat(" ", gap) + right
}

// share is part of whole, from 0 to 1.
func share(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 0
	}
	return min(max(0, part.Seconds()/whole.Seconds()), 1)
}

// meter is a bar of width cells, full as far as part says.
func meter(width int, part float64, style lipgloss.Style) string {
	width = max(0, width)
	full := int(part*float64(width) + 0.5)
	return style.Render(strings.Repeat("━", full)) + dim.Render(strings.Repeat("─", width-full))
}
