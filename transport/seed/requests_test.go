package seed

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"conga/messages/plain"
)

func never(string) bool { return false }

func TestClassify(t *testing.T) {
	for text, want := range map[string]kindOf{
		"SONGLIST": request, "REQUESTLIST": request, "PLAY,1": request, "PLAY,": request, "DC,HOST,a,PORT,1": request,
		"SONGLISTSONGLIST": request,
		"":                 unfolding, "S": unfolding, "SONG": unfolding, "PLAY": unfolding, "REQUESTLIS": unfolding, "D": unfolding,
		"SONGS": notSeed, "REQUESTS": notSeed, "PLAY 1": notSeed, "HELLO {}": notSeed, "SONGLIST\n": notSeed, "PLAY,1\r\n": notSeed,
		"play,1": notSeed, "\x16\x03\x01": notSeed, "AUTH x": notSeed, "GET / HTTP/1.1": notSeed,
	} {
		if got := classify([]byte(text)); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	for text, want := range map[string][]asked{
		"SONGLIST":                        {{verb: askSongs}},
		"SONGLIST\n":                      {{verb: askSongs}},
		"SONGLISTREQUESTLIST":             {{verb: askSongs}, {verb: askRequests}},
		"PLAY,bach.mp3":                   {{verb: askPlay, wish: "bach.mp3"}},
		"PLAY, 2 ":                        {{verb: askPlay, wish: "2"}},
		"PLAY,a, b.mp3":                   {{verb: askPlay, wish: "a, b.mp3"}},
		"PLAY,1PLAY,2SONGLIST":            {{verb: askPlay, wish: "1"}, {verb: askPlay, wish: "2"}, {verb: askSongs}},
		"PLAY,1DC,HOST,h,PORT,7002":       {{verb: askPlay, wish: "1"}, {verb: sayLeave, port: 7002}},
		"DC,HOST,h,PORT,7002":             {{verb: sayLeave, port: 7002}},
		"DC,nonsense":                     {{verb: sayLeave}},
		"PLAY,":                           {{verb: askPlay}},
		"garbage":                         nil,
		"SONGLISTgarbage":                 {{verb: askSongs}},
		"PLAY,the PLAY,list of 2016.mp3":  {{verb: askPlay, wish: "the"}, {verb: askPlay, wish: "list of 2016.mp3"}},
		"PLAY,whole PLAY,whole.mp3":       {{verb: askPlay, wish: "whole PLAY,whole.mp3"}},
		"REQUESTLISTPLAY,nosuch SONGLIST": {{verb: askRequests}, {verb: askPlay, wish: "nosuch"}, {verb: askSongs}},
	} {
		var got []asked
		for rest := []byte(text); len(rest) > 0; {
			first, more, ok := cut(rest, func(wish string) bool { return wish == "whole PLAY,whole.mp3" })
			if !ok {
				break
			}
			got, rest = append(got, first), more
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// naive reads a list as the 2016 client does, of which more never comes. hangs: it would wait
// for ever.
func naive(answer []byte) (list string, hangs bool) {
	first := answer[:min(firstRead, len(answer))]
	fields := strings.Split(string(first), "##")
	var n int
	_, _ = fmt.Sscan(fields[0], &n)
	list = fields[1]
	rest := answer[len(first):]
	if n > len(fields) {
		if len(rest) == 0 {
			return list, true
		}
		list += string(rest[:min(len(rest), n-len(fields))])
	}
	return list, false
}

func TestLists_Naive(t *testing.T) {
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprintf("song number %d.mp3", i))
	}
	for _, c := range []struct {
		answer []byte
		want   string
	}{
		{songList(nil), "2##[]"},
		{songList([]string{"a"}), "8##['a']   "},
		{songList([]string{"a.mp3"}), "9##['a.mp3']"},
		{songList([]string{"a.mp3", "b.mp3"}), "18##['a.mp3', 'b.mp3']"},
		{songList([]string{"it's.mp3"}), `12##["it's.mp3"]`},
		{songList([]string{"käse.mp3"}), `15##['k\xe4se.mp3']`},
		{songList([]string{"\\.mp3"}), `10##['\\.mp3']`},
		{songList(many), ""},
		{requestList(nil), "0##"},
		{requestList([]string{"a"}), "1##a"},
		{requestList([]string{"a.mp3"}), "8##a.mp3   "},
		{requestList([]string{"bach.mp3"}), "8##bach.mp3"},
		{requestList([]string{"a.mp3", "b.mp3"}), "11##a.mp3,b.mp3"},
		{requestList(many), ""},
	} {
		if c.want != "" && string(c.answer) != c.want {
			t.Errorf("answer %q, want %q", c.answer, c.want)
		}
		list, hangs := naive(c.answer)
		_, whole, _ := strings.Cut(string(c.answer), "##")
		if hangs || list != whole {
			t.Errorf("of %.60q a client reads %.60q; hangs: %v", c.answer, list, hangs)
		}
		text, err := readMeasured(bufio.NewReader(bytes.NewReader(c.answer)))
		if err != nil || text != whole {
			t.Errorf("we read %.60q as %.60q, %v", c.answer, text, err)
		}
	}
	if got := pythonList("['a.mp3', \"it's.mp3\", 'k\\xe4se \\u2022 \\\\.mp3', 'cut of"); !slices.Equal(got, []string{"a.mp3", "it's.mp3", "käse • \\.mp3", "cut of"}) {
		t.Errorf("read %q", got)
	}
}

func TestSentence(t *testing.T) {
	long := strings.Repeat("ä", 80) + ".mp3"
	for want, lines := range map[string][]string{
		"Song does not exist":                                      {"Song does not exist"},
		"The server is busy, try again later":                      nil,
		"Song a.mp3 has been requested!":                           {"Song a.mp3 has been requested!"},
		"Song " + strings.Repeat("ä", 37) + " has been requested!": {"Song " + long + " has been requested!"},
	} {
		got := string(sentence(lines))
		if got != want || len(got) > maxSentence || !utf8.ValidString(got) {
			t.Errorf("%q becomes %q (%d bytes), want %q", lines, got, len(got), want)
		}
	}
}

// Whatever a client sends: each cut takes something, and nothing comes out that did not go in.
func FuzzCut(f *testing.F) {
	for _, text := range []string{"SONGLIST", "PLAY,1PLAY,2", "DC,HOST,h,PORT,1", "\x00\r\nPLAY,", "SONGLISTx"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		classify(b)
		for len(b) > 0 {
			first, rest, ok := cut(b, never)
			if !ok {
				return
			}
			if len(rest) >= len(b) || !bytes.Contains(b, []byte(first.wish)) {
				t.Fatalf("of %q it takes %+v and leaves %q", b, first, rest)
			}
			b = rest
		}
	})
}

// What a server answers, however broken, gives plain names and an end.
func FuzzLists(f *testing.F) {
	f.Add([]byte("18##['a.mp3', 'b.mp3']"))
	f.Add([]byte("9999999##x"))
	f.Add([]byte("3##\\x'\"\\U0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		text, err := readMeasured(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			text = string(b)
		}
		for _, name := range append(pythonList(text), commaList(text)...) {
			if name == "" || name != plain.Text(name, maxListed) || len(name) > 4*len(b) {
				t.Fatalf("%q gives %q", b, name)
			}
		}
		_, _ = parseLeaving(b)
		_, _ = parseSong(b)
	})
}
