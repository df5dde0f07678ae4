package screen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"

	"conga/messages"
)

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

// mostLevels is how far a branch is set in at most.
const mostLevels = 6

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
	row := dim.Render(strings.Repeat("│ ", min(member.Level, mostLevels))+branch) + name
	if member.Measured {
		cells := min(20, max(4, width-names-10-lipgloss.Width(member.Note)))
		row += fmt.Sprintf(" %s %3.1f s", meter(cells, share(member.Buffered, cmp.Or(m.snapshot.Full, messages.Slack)), good), member.Buffered.Seconds())
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
