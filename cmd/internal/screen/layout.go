package screen

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// panel is a part of the picture with a title. rows draws it into at most height rows of width cells;
// wants is how many it would fill, least how many make sense.
type panel struct {
	title string
	least int
	wants int
	rows  func(width, height int) []string
}

// column is a stack of panels beside others; its width is a share of the whole.
type column struct {
	share  int
	panels []panel
}

// unbounded is what a panel wants if it can fill any number of rows.
const unbounded = 1 << 10

// gutter stands between two columns.
const gutter = 2

// beside draws the columns into exactly height rows.
func beside(columns []column, width, height int) []string {
	shares := 0
	for _, c := range columns {
		shares += c.share
	}
	room := width - gutter*(len(columns)-1)
	rows := make([]string, height)
	at := 0
	for i, c := range columns {
		part := room * c.share / shares
		if i == len(columns)-1 {
			part = width - at
		}
		for n, row := range stack(c.panels, part, height) {
			if i > 0 {
				rows[n] += strings.Repeat(" ", max(0, at-lipgloss.Width(rows[n])))
			}
			rows[n] += row
		}
		at += part + gutter
	}
	return rows
}

// stack draws the panels one below the other into at most height rows. Each gets what it wants or, if there is not
// enough room, its fair part. If there is too little for all, the last ones are left out.
func stack(panels []panel, width, height int) []string {
	for len(panels) > 1 && least(panels) > height {
		panels = panels[:len(panels)-1]
	}
	var rows []string
	for i, p := range panels {
		part := fair(panels[i:], height-len(rows))
		if part < 1 {
			break
		}
		rows = append(rows, title(p.title, width))
		body := p.rows(width, part-1)
		for _, row := range body[:min(len(body), part-1)] {
			rows = append(rows, fit(row, width))
		}
	}
	return rows
}

// fair is how many of the rows the first panel gets, its title included.
func fair(panels []panel, height int) int {
	first, others := panels[0], panels[1:]
	if len(others) == 0 {
		return height
	}
	part := height / len(panels)
	want := 1 + first.wants
	if want <= part {
		return want
	}
	spare := height // rows that the others leave
	for _, p := range others {
		spare -= min(1+p.wants, max(part, 1+p.least))
	}
	return max(min(want, spare), 1+first.least)
}

func least(panels []panel) (rows int) {
	for _, p := range panels {
		rows += 1 + p.least
	}
	return rows
}

// title is a panel's first row.
func title(text string, width int) string {
	line := width - lipgloss.Width(text) - 1
	if line < 1 {
		return bold.Render(ansi.Truncate(text, width, ""))
	}
	return bold.Render(text) + " " + dim.Render(strings.Repeat("─", line))
}

// fit cuts a row that is too long.
func fit(row string, width int) string { return ansi.Truncate(row, max(0, width), "…") }

// pad makes text exactly width cells wide.
func pad(text string, width int) string {
	text = fit(text, width)
	return text + strings.Repeat(" ", max(0, width-lipgloss.Width(text)))
}

// ends puts left and right at the two ends of a row. If there is no room for both, it leaves out right.
func ends(left, right string, width int) string {
	gap := width - lipgloss.Width(left) - lipgloss.Width(right)
	if gap < 2 {
		return left
	}
	return left + strings.Repeat(" ", gap) + right
}

// wrap breaks text between words only. The terminal library would break options like --output after a hyphen.
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
