package screen

import (
	"fmt"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"conga/messages"
)

func TestModel_Ask(t *testing.T) {
	var asked []string
	m := of(func(line string) []string {
		asked = append(asked, line)
		return []string{"Song bach.mp3 has been requested!"}
	}, nil)
	m = press(m, append(letters("  PLAY 1 "), enter)...)
	if got := fmt.Sprintf("%q", asked); got != `["PLAY 1"]` || m.input.Value() != "" {
		t.Errorf("asked %s, the input is %q", got, m.input.Value())
	}
	if len(m.news) != 2 || m.news[0].Text != "PLAY 1" || m.news[0].Kind != typed || m.news[1].Kind != answered {
		t.Errorf("the pane says %v", m.news)
	}
	if m = press(m, append(letters("   "), enter)...); len(asked) != 1 || len(m.news) != 2 {
		t.Error("an empty line was asked")
	}
}

// Typing shows the songs with the words in their names, and Enter asks for the first.
func TestModel_Search(t *testing.T) {
	var asked []string
	m := of(func(line string) []string { asked = append(asked, line); return nil }, nil)
	m = press(m, letters("be")...)
	if len(m.found.Songs) != 2 || m.chosen != "beethoven.mp3" {
		t.Errorf("found %v, chosen %q", m.found, m.chosen)
	}
	m = press(m, down, enter)
	if fmt.Sprint(asked) != "[PLAY pachelbel.mp3]" || m.input.Value() != "" || m.chosen != "" || len(m.found.Songs) != 4 {
		t.Errorf("asked %q; the input is %q, chosen %q of %d", asked, m.input.Value(), m.chosen, len(m.found.Songs))
	}
	m = press(m, append(letters("nobody"), enter)...)
	if len(asked) != 1 || !strings.Contains(m.news[len(m.news)-1].Text, "no song has nobody") {
		t.Errorf("asked %q, said %v", asked, m.news)
	}
	m = press(m, esc, enter)
	if len(asked) != 1 {
		t.Errorf("Enter without a choice asked %q", asked)
	}
	for _, step := range []struct {
		key  tea.KeyPressMsg
		want string
	}{{up, "zelenka.mp3"}, {up, "pachelbel.mp3"}, {down, "zelenka.mp3"}, {down, "zelenka.mp3"}, {esc, ""}, {down, "bach.mp3"}} {
		if m = press(m, step.key); m.chosen != step.want {
			t.Fatalf("after %s %q is chosen, not %q", step.key, m.chosen, step.want)
		}
	}
}

// While the server has not answered, the screen does not ask again. The last question is about all that was typed.
func TestModel_SearchFaster(t *testing.T) {
	m, asked := of(noAnswer, nil), []string{}
	m.source.search = func(words string) Found { asked = append(asked, words); return songs(words) }
	var first tea.Cmd
	for i, key := range letters("bee") {
		next, cmd := m.Update(key)
		if m = next.(model); i == 0 {
			first = cmd
		} else if cmd != nil {
			m = run(m, cmd)
		}
	}
	if len(asked) != 0 {
		t.Fatalf("asked %q before the first answer", asked)
	}
	m = run(m, first)
	if fmt.Sprint(asked) != "[b bee]" || m.chosen != "beethoven.mp3" {
		t.Errorf("asked %q, chosen %q", asked, m.chosen)
	}
}

// Enter means what is typed, also while the screen still shows what was found for less: it waits for the answer.
func TestModel_EnterBeforeAnswer(t *testing.T) {
	for _, test := range []struct {
		keys []tea.KeyPressMsg // after a "b", whose songs are shown
		want string
	}{
		{append(letters("ee"), enter), "[PLAY beethoven.mp3]"},
		{append(letters("ee"), down, enter), "[PLAY beethoven.mp3]"}, // chosen: it needs no answer
		{append(letters("obody"), enter), "[]"},
		{append(letters("ee"), enter, esc), "[]"},
		{append(letters("ee"), enter, enter), "[PLAY beethoven.mp3]"},
		{append(letters("ee"), enter, letters("t")[0]), "[]"},
	} {
		asked := []string{}
		m := press(of(func(line string) []string { asked = append(asked, line); return nil }, nil), letters("b")...)
		var answers []tea.Cmd
		for _, key := range test.keys {
			next, cmd := m.Update(key)
			m, answers = next.(model), append(answers, cmd)
		}
		for _, answer := range answers {
			m = run(m, answer)
		}
		if fmt.Sprint(asked) != test.want {
			t.Errorf("%v asked %v, not %s", test.keys, asked, test.want)
		}
	}
}

// A command leaves no song chosen that was found for its first letters, however late the answer comes: Enter again asks for
// nothing.
func TestModel_CommandChoosesNothing(t *testing.T) {
	var asked []string
	m := of(func(line string) []string { asked = append(asked, line); return nil }, nil)
	m.source.search = func(string) Found { return songs("b") } // each letter finds something
	var answers []tea.Cmd
	for _, key := range append(letters("SKIP"), enter) {
		next, cmd := m.Update(key)
		m, answers = next.(model), append(answers, cmd)
	}
	for _, answer := range answers {
		m = run(m, answer)
	}
	if m = press(m, enter); fmt.Sprint(asked) != "[SKIP]" || m.chosen != "" {
		t.Errorf("asked %q, chosen %q", asked, m.chosen)
	}
}

// A command in small letters is one if no song has its word.
func TestModel_SmallLetters(t *testing.T) {
	var asked []string
	m := of(func(line string) []string { asked = append(asked, line); return nil }, nil)
	for _, line := range []string{"skip", "cancel 2", "play be", "who"} {
		m = press(m, append(letters(line), enter)...)
	}
	if fmt.Sprintf("%q", asked) != `["skip" "cancel 2" "play be" "who"]` || m.input.Value() != "" || len(m.found.Songs) != 4 {
		t.Errorf("asked %q; the input is %q, %d songs are shown", asked, m.input.Value(), len(m.found.Songs))
	}
	m.source.search = func(string) Found { return Found{Songs: []Song{{Name: "skip.mp3"}}} }
	if press(m, append(letters("skip"), enter)...); asked[len(asked)-1] != "PLAY skip.mp3" {
		t.Errorf("asked %q", asked)
	}
}

// The songs are asked for again from time to time, because the folder may have changed; sooner if it was empty.
func TestModel_SearchAgain(t *testing.T) {
	m := of(noAnswer, nil)
	searches := func(m model) (at int) {
		for at = 1; at < 1000; at++ {
			next, cmd := m.Update(Snapshot{})
			if m = next.(model); cmd != nil {
				return at
			}
		}
		return at
	}
	if at := searches(m); at != searchAgain {
		t.Errorf("after %d moments", at)
	}
	if at := searches(update(m, foundMsg{})); at != searchSoon {
		t.Errorf("after %d moments without songs", at)
	}
}

func TestModel_Volume(t *testing.T) {
	var set []int
	m := of(noAnswer, func(s *Source) { s.Volume = func(percent int) { set = append(set, percent) } })
	m = press(m, letters("--+")...)
	m = press(m, space, space, space)
	m = press(m, letters("+")...)
	if fmt.Sprint(set) != "[90 80 90 0 90 0 100]" || m.mute {
		t.Errorf("the volume was set to %v", set)
	}
	m = press(m, append(letters("a-"), space)...) // a search
	if len(set) != 7 || m.input.Value() != "a- " {
		t.Errorf("set %v, typed %q", set, m.input.Value())
	}
	m = press(of(noAnswer, asServer), letters("-+")...)
	if m.input.Value() != "-+" {
		t.Errorf("a server has no volume; typed %q", m.input.Value())
	}
}

func TestModel_Earlier(t *testing.T) {
	m := of(noAnswer, nil)
	said := func(key string) string {
		next, cmd := m.Update(letters(key)[0])
		if cmd == nil {
			t.Fatal(key, "does nothing")
		}
		return update(next.(model), cmd()).news[0].Text
	}
	for key, want := range map[string]string{",": "1ms", ".": "-1ms", "[": "5ms", "]": "-5ms", "<": "20ms", ">": "-20ms"} {
		if got := said(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if m = press(m, letters("a,.<>")...); m.input.Value() != "a,.<>" {
		t.Errorf("typed %q", m.input.Value())
	}
	if m = press(of(noAnswer, asServer), letters(",.<>")...); m.input.Value() != ",.<>" {
		t.Errorf("where nothing is heard: typed %q", m.input.Value())
	}
}

// The listener to be killed is chosen first, and stays chosen when the chain changes.
func TestModel_Kill(t *testing.T) {
	var killed []string
	m := of(noAnswer, func(s *Source) {
		s.Kill = func(name string) string { killed = append(killed, name); return name + " is killed" }
	})
	kill := tea.KeyPressMsg{Code: 'k', Mod: tea.ModCtrl}
	if m = press(update(m, playing(4)), kill); len(killed) > 0 {
		t.Fatalf("killed %v, and nobody was chosen", killed)
	}
	m = press(m, tab, tab)
	shorter := playing(4)
	shorter.Chain = shorter.Chain[1:] // amy has left
	m = press(update(m, shorter), kill, kill)
	if fmt.Sprint(killed) != "[bob]" || m.news[len(m.news)-1].Text != "bob is killed" {
		t.Errorf("killed %v", killed)
	}
	m = press(m, tab, tab, tab, tab) // the last one is heard and cannot be killed
	if m.targetName() == "dora" {
		t.Error("the one that is heard can be killed")
	}
	only := playing(1)
	if m = press(update(m, only), tab, kill); len(killed) != 1 {
		t.Errorf("killed %v", killed)
	}
}

func TestModel_Help(t *testing.T) {
	m := press(of(noAnswer, nil), letters("?")...)
	if !strings.Contains(m.View().Content, "choose a song") {
		t.Error("? does not help")
	}
	if m = press(m, letters("x")...); m.overlay != nothing || m.input.Value() != "" {
		t.Error("a key does not only close the help")
	}
	if m = press(m, letters("a?")...); m.overlay != nothing || m.input.Value() != "a?" {
		t.Error("a question mark cannot be searched for")
	}
}

func TestModel_End(t *testing.T) {
	ends := func(text string, last tea.KeyPressMsg) bool {
		m := press(of(noAnswer, nil), letters(text)...)
		_, cmd := m.Update(last)
		if cmd == nil {
			return false
		}
		_, quit := cmd().(tea.QuitMsg)
		return quit
	}
	for _, word := range []string{"END", "end", " End ", "quit"} {
		if !ends(word, enter) {
			t.Errorf("%q does not end", word)
		}
	}
	if ends("PLAY end", enter) {
		t.Error("a request ends")
	}
	if !ends("", tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}) {
		t.Error("ctrl+c does not end")
	}
}

func TestModel_ForgetsOldLines(t *testing.T) {
	m := of(noAnswer, nil)
	for i := range 3 * keptNews {
		m = update(m, happened(fmt.Sprint(i)), Snapshot{})
	}
	if len(m.news) != keptNews || m.news[keptNews-1].Text != fmt.Sprint(3*keptNews-1) || len(m.levels) > keptLevels {
		t.Errorf("%d lines, the last %v, %d levels", len(m.news), m.news[len(m.news)-1], len(m.levels))
	}
}

func TestModel_LongestLineIsALine(t *testing.T) {
	m := update(of(noAnswer, nil), tea.PasteMsg{Content: strings.Repeat("x", 2*messages.MaxLine)})
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

// If nothing is on, the reason stands in the place of the song.
func TestHeadline_Away(t *testing.T) {
	for want, s := range map[string]Snapshot{
		"nothing plays yet": {},
		"nothing is broadcast: the songs folder cannot be read": {Away: "the songs folder\x1b cannot be read"},
		"bach.mp3": {Song: "bach.mp3", Away: "x"},
	} {
		if got := s.headline(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Votes to skip the song stand beside it; if there is no room for all, they come before who asked for it.
func TestBeside(t *testing.T) {
	s := Snapshot{Song: "bach.mp3", Asked: "amy", Needed: 3}
	for _, test := range []struct {
		votes, width int
		want         string
	}{
		{0, 80, "asked for by amy"},
		{2, 80, "asked for by amy, 2 of 3 want to skip it"},
		{2, 30, "2 of 3 want to skip it"},
	} {
		if s.Votes = test.votes; s.beside(test.width) != test.want {
			t.Errorf("%d votes on %d cells: %q", test.votes, test.width, s.beside(test.width))
		}
	}
}
