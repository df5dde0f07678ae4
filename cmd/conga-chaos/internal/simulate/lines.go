package simulate

import "fmt"

// Line is a line of the table.
type Line struct {
	Name string
	Of   func(Figures) string
}

// Lines are the table.
var Lines = []Line{
	{"listeners, in the mean", func(f Figures) string { return fmt.Sprintf("%.0f", f.Listeners) }},
	{"came / said goodbye / killed / vanished", func(f Figures) string {
		return fmt.Sprintf("%d / %d / %d / %d", f.Came, f.Goodbyes, f.Killed, f.Vanished)
	}},
	{"depth, median / most", func(f Figures) string { return fmt.Sprintf("%d / %d", f.DepthP50, f.DepthMax) }},
	{"margin p50 / p1 / least, ms", func(f Figures) string {
		return fmt.Sprintf("%.0f / %.0f / %.0f", f.MarginP50, f.MarginP1, f.MarginLeast)
	}},
	{"items in time", func(f Figures) string { return fmt.Sprint(f.Heard) }},
	{"late / lost / twice", func(f Figures) string { return fmt.Sprintf("%d / %d / %d", f.Late, f.Lost, f.Twice) }},
	{"underruns", func(f Figures) string { return fmt.Sprint(f.Underruns) }},
	{"silence, of all that was listened to", func(f Figures) string { return fmt.Sprintf("%.4f %%", 100*f.SilencePart) }},
	{"listeners without an underrun", func(f Figures) string { return fmt.Sprintf("%.2f %%", 100*f.WholePart) }},
	{"without music in the end", func(f Figures) string { return fmt.Sprint(f.Deaf) }},
	{"splices / moves / branches moved", func(f Figures) string { return fmt.Sprintf("%d / %d / %d", f.Splices, f.Moves, f.Branches) }},
	{"accusations / audits", func(f Figures) string { return fmt.Sprintf("%d / %d", f.Reports, f.Audits) }},
	{"searches", func(f Figures) string { return fmt.Sprint(f.Searches) }},
	{"  p50 / p99 / longest, ms", func(f Figures) string {
		return fmt.Sprintf("%.1f / %.0f / %.0f", f.SearchP50, f.SearchP99, f.SearchMax)
	}},
	{"server: streams, mean / most", func(f Figures) string { return fmt.Sprintf("%.1f / %d", f.ServerStreams, f.ServerStreamsMax) }},
	{"refused / let go by the server", func(f Figures) string { return fmt.Sprintf("%d / %d", f.Refused, f.LetGo) }},
	{"server: music, kbit/s", func(f Figures) string { return fmt.Sprintf("%.0f", f.ServerUpload) }},
	{"server: control both ways, kbit/s", func(f Figures) string { return fmt.Sprintf("%.0f", f.ServerControl) }},
	{"node: control both ways, bytes/s", func(f Figures) string { return fmt.Sprintf("%.1f", f.NodeControl) }},
}
