package screen

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// helpPanel says what the keys do, and what the picture shows.
func (m model) helpPanel(width int) panel {
	pairs := [][2]string{
		{"letters", "search the songs by words of their names"},
		{"↑ ↓ PgUp PgDn", "choose a song"},
		{"Enter", "ask for the chosen song, or send the line: SONGS, PLAY <name or number>, REQUESTS, CANCEL, SKIP, HISTORY, WHO"},
		{"Esc", "clear the line"},
	}
	if m.source.Volume != nil {
		pairs = append(pairs, [2]string{"+ - Space", "louder, quieter, mute, while the line is empty; what you pass on stays as it is"})
	}
	if m.source.Earlier != nil {
		pairs = append(pairs, [2]string{", . [ ] < >", "hear it 1, 5 or 20 ms earlier or later than others, while the line is empty: for a loudspeaker that is behind; OFFSET MS sets it"})
	}
	if m.source.Kill != nil {
		pairs = append(pairs, [2]string{"Tab, Ctrl-K", "choose a listener, and kill it as a crash would: the one you hear plays on"})
	}
	if m.source.Code != nil {
		pairs = append(pairs, [2]string{"=", "show the QR code large, while the line is empty"})
	}
	pairs = append(pairs, [2]string{"END, Ctrl-C", "end"})
	names := 0
	for _, pair := range pairs {
		names = max(names, lipgloss.Width(pair[0]))
	}
	var rows []string
	for _, pair := range pairs {
		for i, row := range wrap(pair[1], max(8, width-names-2)) {
			name := ""
			if i == 0 {
				name = pair[0]
			}
			rows = append(rows, accent.Render(pad(name, names))+"  "+row)
		}
	}
	rows = append(rows, "")
	for _, text := range m.source.Help {
		rows = append(rows, wrap(text, width)...)
	}
	return panel{title: "help", least: 1, wants: len(rows), rows: func(int, int) []string { return rows }}
}

// codePanel is the QR code, as large as possible, and its text.
func (m model) codePanel() panel {
	least := 1
	if !m.ascii {
		least += len(m.source.Code)
	}
	return panel{title: "scan it, or open it", least: least, wants: least, rows: func(width, height int) []string {
		rows, code := []string{clean(m.source.CodeText)}, m.source.Code
		switch fits := func(n int) bool {
			return len(code) > 0 && height > n*len(code) && lipgloss.Width(code[0])*n <= width
		}; {
		case m.ascii || !fits(1):
			return append(rows, dim.Render("(for its QR code the terminal is too small, or not of UTF-8)"))
		case fits(2):
			return append(rows, doubled(code)...)
		}
		return append(rows, code...)
	}}
}

// doubled draws a code of half blocks at twice its size.
func doubled(code []string) []string {
	var rows []string
	for _, row := range code {
		var upper, lower strings.Builder
		for _, block := range row {
			cells := map[rune][2]string{'█': {"██", "██"}, '▀': {"██", "  "}, '▄': {"  ", "██"}}[block]
			if cells[0] == "" {
				cells = [2]string{"  ", "  "}
			}
			upper.WriteString(cells[0])
			lower.WriteString(cells[1])
		}
		rows = append(rows, upper.String(), lower.String())
	}
	return rows
}
