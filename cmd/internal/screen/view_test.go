package screen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"conga/messages/raced"
)

func TestView_Golden(t *testing.T) {
	said := []tea.Msg{
		happened("dora feeds you no longer (the upstream closed the connection)"),
		happened("cem feeds you, 7ms later; nothing is lost, 1.9 s of music were left"),
		News{At: started, Kind: Trouble, Text: "a song is left out"},
		answerMsg{"Song bach.mp3 has been requested!"},
	}
	hurt := playing(3)
	hurt.Chain[1].Underruns, hurt.Chain[1].Buffered = 2, 0
	hurt.Asked, hurt.Queue = "", nil
	hurt.Sound = "no sound card can be opened, \"default\": No such file or directory (cannot find card '0'). " +
		"The music is heard as soon as a sound card answers; --output null plays without one, --output wav:FILE records"
	wave := []tea.Msg{}
	for i := range 200 {
		s := joined()
		s.Levels[0] = float64(i%40) / 40
		wave = append(wave, s)
	}
	keys := func(codes ...rune) (msgs []tea.Msg) {
		for _, code := range codes {
			msgs = append(msgs, tea.KeyPressMsg{Code: code, Text: string(code)})
		}
		return msgs
	}
	tests := []struct {
		name          string
		width, height int
		source        func(*Source)
		msgs          []tea.Msg
	}{
		{"join before anything", 80, 24, nil, nil},
		{"join 80x24", 80, 24, nil, append(said, joined())},
		{"join 120x40", 120, 40, nil, append(wave, said...)},
		{"join 200x50", 200, 50, nil, append(wave, said...)},
		{"join 40x12", 40, 12, nil, append(said, joined())},
		{"join 20x5", 20, 5, nil, append(said, joined())},
		{"join search", 80, 24, nil, append(keys('b', 'e'), joined(), foundMsg{"be", songs("be")})},
		{"join mute", 80, 24, nil, append([]tea.Msg{joined()}, tea.KeyPressMsg{Code: tea.KeySpace, Text: " "})},
		{"join help", 80, 24, nil, append([]tea.Msg{joined()}, keys('?')...)},
		{"demo 80x24", 80, 24, asDemo, append(said, playing(3), tea.KeyPressMsg{Code: tea.KeyTab})},
		{"demo underruns", 80, 24, asDemo, []tea.Msg{hurt}},
		{"demo thirty listeners", 80, 24, asDemo, append(said, playing(30))},
		{"demo 200x50", 200, 50, asDemo, append(said, playing(5))},
		{"serve 80x24", 80, 24, asServer, append(said, served())},
		{"serve 120x40", 120, 40, asServer, append(said, served())},
		{"serve 200x50", 200, 50, asServer, append(said, served())},
		{"serve code", 80, 24, asServer, append([]tea.Msg{served()}, keys('=')...)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := update(of(noAnswer, test.source), append(test.msgs, tea.WindowSizeMsg{Width: test.width, Height: test.height})...)
			picture := trailing.ReplaceAllString(ansi.Strip(m.View().Content), "") + "\n"
			golden(t, strings.ReplaceAll(test.name, " ", "_")+".txt", picture)
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -rewrite makes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", name, got)
	}
}

// The picture fits any size. A row too many would scroll the terminal, a row too wide would wrap.
func TestView_FitsAnySize(t *testing.T) {
	wide := playing(7)
	wide.Title, wide.Song = strings.Repeat("長い歌", 40), strings.Repeat("x", 300)
	wide.Queue = make([]Queued, 50)
	wide.Facts = []string{strings.Repeat("word ", 90)}
	for _, source := range []func(*Source){nil, asDemo, asServer} {
		for width := 1; width <= 210; width += raced.Size(23, 69) {
			for height := 1; height <= 60; height += raced.Size(5, 15) {
				for _, key := range []rune{'b', '?', '='} {
					m := of(noAnswer, source)
					m.ascii = height%2 == 1
					m = update(m, wide, answerMsg(make([]string, 60)), happened(strings.Repeat("é", 400)),
						tea.WindowSizeMsg{Width: width, Height: height}, tea.KeyPressMsg{Code: key, Text: string(key)}, foundMsg{"b", songs("b")})
					fits(t, m, width, height)
				}
			}
		}
	}
}

func fits(t *testing.T, m model, width, height int) {
	t.Helper()
	rows := strings.Split(m.View().Content, "\n")
	if len(rows) != height {
		t.Fatalf("%dx%d: %d rows", width, height, len(rows))
	}
	for _, row := range rows {
		if lipgloss.Width(row) > width {
			t.Fatalf("%dx%d: a row of %d: %q", width, height, lipgloss.Width(row), row)
		}
		if m.ascii && strings.IndexFunc(row, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
			t.Fatalf("%dx%d: not all is ASCII: %q", width, height, row)
		}
	}
	bottom := height - 1
	if height >= hintRow {
		bottom--
	}
	if c := m.View().Cursor; c.Y != bottom || c.X >= width {
		t.Fatalf("%dx%d: cursor at %d,%d", width, height, c.X, c.Y)
	}
}

// The picture fills a high and wide terminal.
func TestView_UsesTheRoom(t *testing.T) {
	for _, source := range []func(*Source){nil, asDemo} {
		m := of(noAnswer, source)
		for i := range keptLevels {
			s := joined()
			s.Levels[0] = 0.5 + float64(i%10)/25
			m = update(m, s)
		}
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 50}} {
			m = update(m, tea.WindowSizeMsg{Width: size[0], Height: size[1]})
			rows, full := strings.Split(ansi.Strip(m.View().Content), "\n"), 0
			for _, row := range rows {
				if strings.TrimSpace(row) != "" {
					full++
				}
			}
			if full < size[1]*2/3 {
				t.Errorf("%dx%d: %d rows have something in them", size[0], size[1], full)
			}
		}
	}
}

// Strangers write tags and names. Their text must not control the terminal.
func TestView_HostileText(t *testing.T) {
	const evil = "\x1b]0;owned\x07\x1b[2Jx\u202ey\r\n\u009b31m"
	s := playing(2)
	s.Title, s.Artist, s.Asked, s.Sound, s.Facts = evil, evil, evil, evil, []string{evil}
	s.Queue[0] = Queued{Song: evil, Title: evil, Artist: evil, Asked: evil}
	s.Chain[0].Name, s.Chain[0].Note = evil, evil
	s.Chain[1] = Member{Name: evil, Role: Gap}
	found := Found{Songs: []Song{{Name: evil, Title: evil, Artist: evil}}, More: evil}
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		m := update(of(noAnswer, nil), s, happened(evil), News{Kind: Trouble, Text: evil}, answerMsg{evil}, foundMsg{"", found},
			tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		view := m.View()
		for _, bad := range []string{"\x1b]", "\x1b[2J", "\u202e", "\u009b", "\r", "\x07"} {
			if strings.Contains(view.Content, bad) || strings.Contains(view.WindowTitle, bad) {
				t.Errorf("%q reaches the terminal", bad)
			}
		}
		if strings.ContainsAny(view.WindowTitle, "\x1b\n") || strings.Count(view.Content, "\n") != size[1]-1 {
			t.Error("a newline in a title tears the picture")
		}
	}
}
