package screen

import (
	"math"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

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
