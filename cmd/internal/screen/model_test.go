package screen

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"conga/messages"
)

// trailing spaces are invisible, on a terminal as in a review.
var trailing = regexp.MustCompile(`(?m) +$`)

var rewrite = flag.Bool("rewrite", false, "write the golden pictures anew")

func playing(listeners int) Snapshot {
	s := Snapshot{
		Song: "bach.mp3", Title: "Prelude in C major", Artist: "J. S. Bach", Asked: "amy",
		Elapsed: 13 * time.Second, Duration: 39 * time.Second,
		Queue: []string{"beethoven.mp3", "pachelbel.mp3"}, Sound: "on the loudspeaker",
	}
	for i := range listeners {
		s.Chain = append(s.Chain, Member{
			Name: Name(i), Relay: "127.0.0.1:1", Received: uint64(1000 + i),
			Buffered: 1900*time.Millisecond - time.Duration(i%6)*300*time.Millisecond, Speaker: i == listeners-1,
		})
	}
	return s
}

// update feeds messages and returns what came of them.
func update(m model, msgs ...tea.Msg) model {
	for _, msg := range msgs {
		next, _ := m.Update(msg)
		m = next.(model)
	}
	return m
}

func typeLine(m model, text string) (model, tea.Cmd) {
	for _, r := range text {
		m = update(m, tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	next, cmd := m.Update(tea.KeyPressMsg{Code: tea.KeyEnter})
	return next.(model), cmd
}

func noAnswer(string) []string { return nil }

func TestView_Golden(t *testing.T) {
	said := []tea.Msg{newsMsg("bob joined behind amy"), answerMsg{"1 bach.mp3", "2 beethoven.mp3"}, stderrMsg("WARN a song is left out")}
	hurt := playing(3)
	hurt.Chain[1].Underruns, hurt.Chain[1].Buffered = 2, 0
	hurt.Asked, hurt.Queue = "", nil
	hurt.Sound = "no sound card can be opened, \"default\": No such file or directory (cannot find card '0'). " +
		"The music is heard as soon as a sound card answers; --output null plays without one, --output wav:FILE records"
	tests := []struct {
		name          string
		width, height int
		msgs          []tea.Msg
	}{
		{"before anything", 80, 24, nil},
		{"80x24", 80, 24, append(said, playing(3))},
		{"underruns", 80, 24, []tea.Msg{hurt}},
		{"thirty listeners", 80, 24, append(said, playing(30))},
		{"40x12", 40, 12, append(said, playing(3))},
		{"20x5", 20, 5, append(said, playing(3))},
		{"120x40", 120, 40, append(said, playing(5))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := update(newModel(noAnswer), append(test.msgs, tea.WindowSizeMsg{Width: test.width, Height: test.height})...)
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

// No size may tear the picture: a row too many scrolls the terminal, one too wide wraps.
func TestView_FitsAnySize(t *testing.T) {
	wide := playing(7)
	wide.Title, wide.Song = strings.Repeat("長い歌", 40), strings.Repeat("x", 300)
	wide.Queue = make([]string, 50)
	for width := 1; width <= 130; width += 8 {
		for height := 1; height <= 45; height += 2 {
			m := newModel(noAnswer)
			m.ascii = height%4 == 1
			m = update(m, wide, answerMsg(make([]string, 60)), newsMsg(strings.Repeat("é", 400)),
				tea.WindowSizeMsg{Width: width, Height: height})
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
			if c := m.View().Cursor; c.Y != height-1 || c.X >= width {
				t.Fatalf("%dx%d: cursor at %d,%d", width, height, c.X, c.Y)
			}
		}
	}
}

// Tags and peers are strangers: what they write must not steer the terminal.
func TestView_HostileText(t *testing.T) {
	const evil = "\x1b]0;owned\x07\x1b[2Jx\u202ey\r\n\u009b31m"
	s := playing(2)
	s.Title, s.Artist, s.Asked, s.Sound, s.Queue[0], s.Chain[0].Name = evil, evil, evil, evil, evil, evil
	m := update(newModel(noAnswer), s, newsMsg(evil), stderrMsg(evil), answerMsg{evil})
	picture := m.View().Content
	for _, bad := range []string{"\x1b]", "\x1b[2J", "\u202e", "\u009b", "\r", "\x07"} {
		if strings.Contains(picture, bad) {
			t.Errorf("%q reaches the terminal", bad)
		}
	}
	if strings.Count(picture, "\n") != 23 {
		t.Error("a newline in a title tears the picture")
	}
}

func TestModel_Ask(t *testing.T) {
	var asked []string
	m := newModel(func(line string) []string {
		asked = append(asked, line)
		return []string{"Song bach.mp3 has been requested!"}
	})
	m, cmd := typeLine(m, "  PLAY 1 ")
	if m.input.Value() != "" || cmd == nil {
		t.Fatalf("after enter the input is %q, command %v", m.input.Value(), cmd != nil)
	}
	m = update(m, cmd())
	if fmt.Sprint(asked) != "[PLAY 1]" {
		t.Errorf("asked %q", asked)
	}
	if got := fmt.Sprint(m.lines); got != "[> PLAY 1 Song bach.mp3 has been requested!]" {
		t.Errorf("the pane says %s", got)
	}
	if m, cmd = typeLine(m, "   "); cmd != nil || len(m.lines) != 2 {
		t.Error("an empty line was asked")
	}
}

func TestModel_End(t *testing.T) {
	ends := func(cmd tea.Cmd) bool {
		if cmd == nil {
			return false
		}
		_, quit := cmd().(tea.QuitMsg)
		return quit
	}
	for _, word := range []string{"END", "end", " End "} {
		if _, cmd := typeLine(newModel(noAnswer), word); !ends(cmd) {
			t.Errorf("%q does not end", word)
		}
	}
	if _, cmd := typeLine(newModel(noAnswer), "PLAY end"); ends(cmd) {
		t.Error("a request ends")
	}
	if _, cmd := newModel(noAnswer).Update(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}); !ends(cmd) {
		t.Error("ctrl+c does not end")
	}
}

func TestModel_History(t *testing.T) {
	m, _ := typeLine(newModel(noAnswer), "SONGS")
	m, _ = typeLine(m, "PLAY 1")
	press := func(codes ...rune) string {
		for _, code := range codes {
			m = update(m, tea.KeyPressMsg{Code: code})
		}
		return m.input.Value()
	}
	for _, step := range []struct {
		code rune
		want string
	}{{tea.KeyUp, "PLAY 1"}, {tea.KeyUp, "SONGS"}, {tea.KeyUp, "SONGS"}, {tea.KeyDown, "PLAY 1"}, {tea.KeyDown, ""}, {tea.KeyUp, "PLAY 1"}, {tea.KeyEsc, ""}} {
		if got := press(step.code); got != step.want {
			t.Fatalf("after %q: %q, want %q", step.code, got, step.want)
		}
	}
}

func TestModel_ForgetsOldLines(t *testing.T) {
	m := newModel(noAnswer)
	for i := range 3 * keptLines {
		m = update(m, newsMsg(fmt.Sprint(i)))
	}
	if len(m.lines) != keptLines || m.lines[keptLines-1].text != fmt.Sprint(3*keptLines-1) {
		t.Errorf("%d lines, the last %q", len(m.lines), m.lines[len(m.lines)-1].text)
	}
}

func TestModel_LongestLineIsALine(t *testing.T) {
	m := update(newModel(noAnswer), tea.PasteMsg{Content: strings.Repeat("x", 2*messages.MaxLine)})
	if got := len(m.input.Value()); got >= messages.MaxLine {
		t.Errorf("the input takes %d bytes", got)
	}
}

func TestName_Different(t *testing.T) {
	seen := map[string]bool{}
	for i := range 200 {
		if seen[Name(i)] {
			t.Fatalf("%s twice", Name(i))
		}
		seen[Name(i)] = true
	}
	if Name(0) != "amy" || Name(2) != "cem" {
		t.Errorf("the first are %s, %s, %s", Name(0), Name(1), Name(2))
	}
}
