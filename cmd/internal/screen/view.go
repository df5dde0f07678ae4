package screen

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

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
	rows := []string{ends("♪ "+bold.Render(s.headline()), dim.Render(s.asked()), width), m.bar(width)}
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

func withFacts(facts panel, panels ...panel) []panel {
	if facts.wants == 0 {
		return panels
	}
	return append([]panel{facts}, panels...)
}

// factsPanel has a sentence for each fact.
func (m model) factsPanel(width int) panel {
	if width >= threeColumns {
		width = width * 4 / 10
	} else if width >= twoColumns {
		width = width / 2
	}
	var rows []string
	for _, fact := range m.snapshot.Facts {
		rows = append(rows, wrap(clean(fact), width-gutter)...)
	}
	return panel{title: m.source.Title, least: min(1, len(rows)), wants: len(rows), rows: func(int, int) []string { return rows }}
}

// queuePanel is what comes next, who asked for it, and when it is heard.
func (m model) queuePanel() panel {
	queue := m.snapshot.Queue
	return panel{title: "next", least: 1, wants: max(1, len(queue)), rows: func(width, height int) []string {
		if len(queue) == 0 {
			return []string{dim.Render("nobody has asked: random songs play")}
		}
		var rows []string
		for i, q := range queue {
			if i > 0 && i == height-1 && len(queue) > height {
				rows = append(rows, dim.Render(fmt.Sprintf("… and %d more", len(queue)-i)))
				break
			}
			right := "by " + clean(q.Asked)
			if q.Asked == "" {
				right = ""
			}
			if q.In >= 0 {
				right += " in " + clock(q.In)
			}
			name := fmt.Sprintf("%d %s", i+1, called(q.Song, q.Title, q.Artist))
			right = dim.Render(fit(right, width/2))
			rows = append(rows, pad(name, width-lipgloss.Width(right)-1)+" "+right)
		}
		return rows
	}}
}

// songsPanel is the songs that can be asked for, or those that the search found.
func (m model) songsPanel() panel {
	songs := m.found.Songs
	name := "songs"
	if words := m.words(); words != "" {
		name = "songs with " + clean(words)
	}
	wants := len(songs)
	if m.found.More != "" || wants == 0 {
		wants++
	}
	return panel{title: name, least: 2, wants: wants, rows: func(width, height int) []string {
		if len(songs) == 0 {
			return []string{dim.Render(clean(m.noSongs()))}
		}
		shown := height
		if m.found.More != "" && height > 1 {
			shown--
		}
		first := max(0, min(m.at()-shown/2, len(songs)-shown))
		var rows []string
		for _, song := range songs[first:min(first+shown, len(songs))] {
			length := ""
			if song.Duration > 0 {
				length = " " + clock(song.Duration)
			}
			row := "  " + pad(called(song.Name, song.Title, song.Artist), width-2-len(length)) + length
			if song.Name == m.chosen {
				row = "▸ " + chosen.Render(row[2:])
			}
			rows = append(rows, row)
		}
		if shown < height {
			rows = append(rows, dim.Render(clean(m.found.More)))
		}
		return rows
	}}
}

func (m model) noSongs() string {
	switch {
	case m.found.More != "":
		return m.found.More
	case m.searching:
		return "the server is asked …"
	case m.words() != "":
		return "none; Esc shows all"
	}
	return "there are none yet"
}

// chainPanel is the chain, the server on top. If there is too little room, members in the middle are left out, but not
// the one whose screen this is, nor the one that is heard.
func (m model) chainPanel() panel {
	members := m.snapshot.Chain
	return panel{title: m.chainTitle(), least: 2, wants: 1 + max(1, len(members)), rows: func(width, height int) []string {
		rows := []string{bold.Render("server")}
		if len(members) == 0 {
			return append(rows, dim.Render("└ nobody listens yet"))
		}
		names := 0
		for _, member := range members {
			names = min(max(names, lipgloss.Width(member.label())), max(8, width/3))
		}
		first, last := m.shownMembers(height - 1)
		for i := range members {
			switch {
			case i < first || i >= last && i < len(members)-1:
				if i == 0 || i == last {
					missing := first
					if i == last {
						missing = len(members) - 1 - last
					}
					rows = append(rows, dim.Render(fmt.Sprintf("│ … %d more …", missing)))
				}
			default:
				rows = append(rows, m.memberRow(i, width, names))
			}
		}
		return rows
	}}
}

func (m model) chainTitle() string {
	listeners := 0
	for _, member := range m.snapshot.Chain {
		if member.Role != Gap {
			listeners++
		}
	}
	switch {
	case m.snapshot.Part:
		return "your part of the chain"
	case listeners == 0:
		return "chain"
	}
	return fmt.Sprintf("chain of %d", listeners)
}

// shownMembers says which members are shown besides the very last one: those from first up to last.
func (m model) shownMembers(room int) (first, last int) {
	members := m.snapshot.Chain
	if len(members) <= room {
		return 0, len(members)
	}
	room = max(1, room-2) // less a row for those that are left out, and one for the last member
	if eye := m.eye(); eye > room-1 {
		room = max(1, room-1) // some are left out above, too
		first = min(eye-room/2, len(members)-1-room)
	}
	return max(0, first), max(0, first) + room
}

// eye is the member that must be seen.
func (m model) eye() int {
	if m.target >= 0 {
		return m.target
	}
	return slices.IndexFunc(m.snapshot.Chain, func(member Member) bool { return member.Role == Self })
}

func (m model) memberRow(i, width, names int) string {
	member := m.snapshot.Chain[i]
	branch := "├ "
	if i == len(m.snapshot.Chain)-1 {
		branch = "└ "
	}
	if member.Role == Gap {
		return dim.Render("│ " + clean(member.Name))
	}
	name := pad(member.label(), names)
	switch {
	case i == m.target:
		name = chosen.Render(name)
	case member.Role == Self:
		name = accent.Bold(true).Render(name)
	}
	row := dim.Render(branch) + name
	if member.Measured {
		cells := min(20, max(4, width-names-10-lipgloss.Width(member.Note)))
		row += fmt.Sprintf(" %s %3.1f s", meter(cells, share(member.Buffered, bufferFull), good), member.Buffered.Seconds())
	}
	if member.Underruns > 0 {
		row += " " + bad.Render(fmt.Sprintf("silent %d×", member.Underruns))
	}
	if note := clean(member.Note); note != "" {
		row += " " + dim.Render(note)
	}
	return row
}

func (m Member) label() string {
	switch {
	case m.Speaker:
		return clean(m.Name) + " 🔊"
	case m.Role == Self:
		return clean(m.Name) + " (you)"
	}
	return clean(m.Name)
}

// newsPanel is what happened, the newest at the bottom.
func (m model) newsPanel() panel {
	return panel{title: "what happens", least: 2, wants: unbounded, rows: func(width, height int) []string {
		var rows []string
		for i := len(m.news) - 1; i >= 0 && len(rows) < height; i-- {
			n := m.news[i]
			lines := wrap(n.Text, width-9)
			if len(lines) > 4 { // no line may fill the panel
				lines = append(lines[:3:3], "…")
			}
			for l := len(lines) - 1; l >= 0 && len(rows) < height; l-- {
				at := strings.Repeat(" ", 8)
				if l == 0 {
					at = n.At.Format("15:04:05")
				}
				rows = append(rows, dim.Render(at)+" "+n.style().Render(lines[l]))
			}
		}
		for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
			rows[i], rows[j] = rows[j], rows[i]
		}
		return rows
	}}
}

func (n News) style() lipgloss.Style {
	switch n.Kind {
	case Trouble:
		return bad
	case typed:
		return accent
	}
	return lipgloss.NewStyle()
}

// wave is how loud the music was, the newest at the right.
func (m model) wave(width, height int) []string {
	rows := make([]string, height)
	levels := m.levels[max(0, len(m.levels)-width):]
	for row := range rows {
		var b strings.Builder
		b.WriteString(strings.Repeat(" ", width-len(levels)))
		for _, level := range levels {
			b.WriteRune(m.block(math.Pow(level, 0.8)*float64(height) - float64(height-1-row)))
		}
		rows[row] = good.Render(b.String())
	}
	return rows
}

// block is a cell that is partly filled, from below.
func (m model) block(part float64) rune {
	eighths := []rune(" ▁▂▃▄▅▆▇█")
	if m.ascii {
		eighths = []rune("    .::##")
	}
	return eighths[int(min(1, max(0, part))*8)]
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
