package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"conga/messages"
)

// reel is music that a test gives out.
type reel struct {
	items  chan *messages.Item
	closed atomic.Bool
}

func (r *reel) Next(ctx context.Context) (*messages.Item, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	select {
	case item := <-r.items:
		return item, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *reel) Close() { r.closed.Store(true) }

func chunk(song *messages.SongChange, size int) *messages.Item {
	return &messages.Item{Frames: bytes.Repeat([]byte{0xff}, size), Song: song}
}

var (
	air   = &messages.SongChange{Song: "air.mp3", Title: "Air'; x", Artist: "Bach"}
	canon = &messages.SongChange{Song: "canon.mp3"}
)

// A player that asks for titles gets them where they change. The music between them is the same as without titles.
func TestMusic_Titles(t *testing.T) {
	var music, dressed []byte
	d := &dresser{titles: true}
	for i := range 12 {
		song := air
		if i >= 6 {
			song = canon
		}
		item := chunk(song, 700)
		item.Frames = bytes.Repeat([]byte{byte(i)}, 700)
		music = append(music, item.Frames...)
		dressed = append(dressed, d.item(item)...)
	}
	var undressed []byte
	titles := map[int]string{} // by the number of bytes of music before them
	for len(dressed) > 0 {
		n := min(metaint, len(dressed))
		undressed, dressed = append(undressed, dressed[:n]...), dressed[n:]
		if len(dressed) == 0 {
			break
		}
		length := int(dressed[0]) * 16
		if length > 0 {
			titles[len(undressed)] = strings.TrimRight(string(dressed[1:1+length]), "\x00")
		}
		dressed = dressed[1+length:]
	}
	if !bytes.Equal(undressed, music) {
		t.Error("titles have changed the music")
	}
	if len(titles) != 2 || titles[1024] != "StreamTitle='Bach - Air’; x';" || titles[5*1024] != "StreamTitle='canon';" { // the song changes at byte 4200
		t.Errorf("%v", titles)
	}
	long := titleOf(&messages.SongChange{Title: strings.Repeat("ü", 500), Artist: strings.Repeat("ß", 500)})
	if len(long) > maxIcy {
		t.Errorf("a title of %d bytes", len(long))
	}
}

// A player with a place gets the music and its headers. One player too many is told so.
func TestMusic_Places(t *testing.T) {
	r := &reel{items: make(chan *messages.Item, 1)}
	m := &Music{Most: 1, Open: func() Cursor { return r }}
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r.items <- chunk(air, 400)
	answer, err := client.Get(server.URL + streamPath)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 400)
	if _, err := io.ReadFull(answer.Body, got); err != nil || answer.Header.Get("Content-Type") != "audio/mpeg" || len(answer.TransferEncoding) > 0 {
		t.Errorf("%v, %v %v", err, answer.Header, answer.TransferEncoding)
	}
	full, err := client.Get(server.URL + streamPath)
	if err != nil {
		t.Fatal(err)
	}
	_ = full.Body.Close()
	if full.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the second of one: %s", full.Status)
	}
	_ = answer.Body.Close()
	for { // until the handler has seen that its player is gone
		head, err := client.Head(server.URL + streamPath)
		if err != nil {
			t.Fatal(err)
		}
		if head.StatusCode == 200 && head.Header.Get("Content-Type") == "audio/mpeg" {
			break
		}
	}
	if !r.closed.Load() {
		t.Error("its cursor is open")
	}
	for path, want := range map[string]string{"/listen.m3u": server.URL + streamPath + "\n", "/listen.pls": "File200=" + server.URL + streamPath + "\n"} {
		list, err := client.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(list.Body)
		_ = list.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s: %q", path, body)
		}
	}
}

// Where the sample rate changes, the stream ends for players that would fall silent, and goes on for others.
func TestMusic_EndsAtAnotherRate(t *testing.T) {
	for name, test := range map[string]struct {
		path, agent string
		frames      int
	}{
		"any player":           {streamPath, "mpv", 30},
		"VLC":                  {streamPath, "VLC/3.0.24 LibVLC/3.0.24", 20},
		"who has asked for it": {streamPath + "?" + oneRate, "Mozilla", 20},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reel{items: make(chan *messages.Item, 3)}
			m := &Music{Most: 1, Open: func() Cursor { return r }}
			server := httptest.NewServer(m.Handler())
			defer server.Close()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ask, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			ask.Header.Set("User-Agent", test.agent)
			answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(ask)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			for _, rate := range []int32{44100, 44100, 48000} {
				r.items <- chunk(&messages.SongChange{SampleRate: rate}, 10)
			}
			got := make([]byte, test.frames)
			if _, err := io.ReadFull(answer.Body, got); err != nil {
				t.Fatal(err)
			}
			if test.frames == 20 {
				if more, err := io.ReadAll(answer.Body); len(more) > 0 || err != nil {
					t.Errorf("then came %d bytes, %v", len(more), err)
				}
				vlc := strings.Contains(test.agent, "LibVLC")
				for titles, code := range map[string]int{"": 200, "1": map[bool]int{true: 410, false: 200}[vlc]} {
					again := ask.Clone(ctx)
					again.Method = http.MethodHead
					again.Header.Set("Icy-Metadata", titles)
					answer, err := http.DefaultClient.Do(again)
					if err != nil {
						t.Fatal(err)
					}
					if answer.StatusCode != code || vlc && answer.Header.Get("Icy-Name") != "" {
						t.Errorf("it comes again, titles %q: %s %v", titles, answer.Status, answer.Header)
					}
				}
			}
		})
	}
}

// given is music that has come before the player.
type given []*messages.Item

func (g *given) Next(ctx context.Context) (*messages.Item, error) {
	if len(*g) == 0 {
		return nil, ctx.Err()
	}
	item := (*g)[0]
	*g = (*g)[1:]
	return item, nil
}

func (g *given) Close() {}

// A new player begins after the last change of the sample rate.
func TestMusic_BeginsBehindAnotherRate(t *testing.T) {
	slow, fast := &messages.SongChange{SampleRate: 44100}, &messages.SongChange{SampleRate: 48000}
	for _, test := range []struct {
		songs []*messages.SongChange
		want  int
	}{
		{nil, 0},
		{[]*messages.SongChange{slow, slow}, 2},
		{[]*messages.SongChange{slow, slow, fast}, 1},
		{[]*messages.SongChange{slow, fast, fast, slow, slow, slow}, 3},
	} {
		var music given
		for _, song := range test.songs {
			music = append(music, chunk(song, 10))
		}
		if got := beginning(&music); len(got) != test.want {
			t.Errorf("of %d items it begins with the last %d, want %d", len(test.songs), len(got), test.want)
		}
	}
}
