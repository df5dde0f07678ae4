package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"conga/messages"
	"conga/messages/plain"
	"conga/transport"
)

const (
	streamPath = "/stream.mp3"
	// metaint is after how many bytes of music a player that asked for titles gets one. At 128 kbit/s this is
	// less than a chunk, so that a title changes at the chunk of its song.
	metaint = 1024
	// writeTakes is how long a player may take for one chunk. Its window ends after twelve seconds anyway.
	writeTakes = 10 * time.Second
	// comesAgain is how often a playlist names the stream: a player whose stream ends goes on with the next one.
	comesAgain = 200
)

// Cursor is a player's place in the music. It belongs to one goroutine.
type Cursor interface {
	Next(ctx context.Context) (*messages.Item, error)
	Close()
}

// Music plays for programs that know nothing of conga, out of a node's own window: one endless mp3 at the
// pace of the music, from whole frame to whole frame.
type Music struct {
	Open func() Cursor // where a new player begins
	Most int           // players at a time

	now atomic.Int64
	cut atomic.Int64
	// mixed: songs of several sample rates have been played to somebody.
	mixed atomic.Bool
}

// Now is how many players there are.
func (m *Music) Now() int { return int(m.now.Load()) }

// Cut is how many were cut because they did not read.
func (m *Music) Cut() int { return int(m.cut.Load()) }

// enter takes a place; false if there is none. Who has one calls leave.
func (m *Music) enter() bool {
	if m.now.Add(1) > int64(m.Most) {
		m.now.Add(-1)
		return false
	}
	return true
}

func (m *Music) leave() { m.now.Add(-1) }

// Handler serves the music, and playlists that lead to it, and nothing else.
func (m *Music) Handler() http.Handler {
	mux := http.NewServeMux()
	m.On(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Connection", "close") // the place is for others
		mux.ServeHTTP(w, r)
	})
}

// On adds them to what mux serves.
func (m *Music) On(mux *http.ServeMux) {
	mux.HandleFunc(streamPath, func(w http.ResponseWriter, r *http.Request) {
		if only(w, r, http.MethodGet, http.MethodHead) {
			m.play(w, r)
		}
	})
	mux.HandleFunc("/listen.m3u", playlist)
	mux.HandleFunc("/listen.pls", playlist)
}

// playlist names the stream as the client reaches this port.
func playlist(w http.ResponseWriter, r *http.Request) {
	if !only(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	scheme := "http"
	if secure(r) {
		scheme = "https"
	}
	url := scheme + "://" + r.Host + streamPath
	if visit := transport.VisitOf(r.Context()); visit != nil && visit.Secret() { // who is here has a pass, which its player needs, too
		url += "?pass=" + visit.PlayerPass()
	}
	var list strings.Builder
	if strings.HasSuffix(r.URL.Path, ".pls") {
		w.Header().Set("Content-Type", "audio/x-scpls")
		fmt.Fprintf(&list, "[playlist]\nNumberOfEntries=%d\n", comesAgain)
		for n := range comesAgain {
			fmt.Fprintf(&list, "File%d=%s\nTitle%[1]d=conga\nLength%[1]d=-1\n", n+1, url)
		}
		list.WriteString("Version=2\n")
	} else {
		w.Header().Set("Content-Type", "audio/x-mpegurl")
		list.WriteString("#EXTM3U\n" + strings.Repeat("#EXTINF:-1,conga\n"+url+"\n", comesAgain))
	}
	_, _ = io.WriteString(w, list.String())
}

// play answers until the client goes, or does not read.
func (m *Music) play(w http.ResponseWriter, r *http.Request) {
	if !m.enter() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "This node plays for as many as it can. Try again, or ask the server's port, which knows the others.", http.StatusServiceUnavailable)
		return
	}
	defer m.leave()
	titles := r.Header.Get("Icy-Metadata") == "1"
	if titles && m.needsPlain(r) {
		http.Error(w, "This player falls silent where the sample rate changes, unless it comes without titles.", http.StatusGone)
		return
	}
	m.head(w, r, titles)
	if r.Method == http.MethodHead {
		return
	}
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // it has said all that it says
	_ = out.SetWriteDeadline(time.Now().Add(writeTakes))
	w.WriteHeader(http.StatusOK)
	if out.Flush() != nil {
		return
	}
	cursor := m.Open()
	defer cursor.Close()
	dress := &dresser{titles: titles}
	begun := beginning(cursor)
	rates, ends := &rates{}, endsAtAnotherRate(r)
	for {
		item, err := (*messages.Item)(nil), error(nil)
		if len(begun) > 0 {
			item, begun = begun[0], begun[1:]
		} else {
			item, err = cursor.Next(r.Context())
		}
		if err != nil {
			if r.Context().Err() == nil {
				m.cut.Add(1)
			}
			return
		}
		bytes := dress.item(item)
		if len(bytes) == 0 {
			continue
		}
		if rates.turn(item) {
			if m.mixed.Store(true); ends {
				return
			}
		}
		_ = out.SetWriteDeadline(time.Now().Add(writeTakes))
		if _, err = w.Write(bytes); err == nil {
			err = out.Flush()
		}
		if err != nil {
			if r.Context().Err() == nil {
				m.cut.Add(1)
			}
			return
		}
	}
}

// head is what stands before the music.
func (m *Music) head(w http.ResponseWriter, r *http.Request, titles bool) {
	header := w.Header()
	header.Set("Content-Type", "audio/mpeg")
	header.Set("Cache-Control", "no-cache, no-store")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin") // the server's page sends its listeners here
	header.Set("Accept-Ranges", "none")
	if !m.needsPlain(r) {
		header.Set("Icy-Name", "conga")
	}
	if titles {
		header.Set("Icy-Metaint", fmt.Sprint(metaint))
	}
	// No length, no chunks of HTTP: old players know only a stream that ends with its connection.
	header.Set("Transfer-Encoding", "identity")
	header.Set("Connection", "close")
}

// beginning is what there is already for a new player. Whoever comes anew because a song has another sample rate than the
// one before begins behind that place.
func beginning(cursor Cursor) (items []*messages.Item) {
	now, over := context.WithCancel(context.Background())
	over() // what has come is there without waiting
	for {
		item, err := cursor.Next(now)
		if err != nil {
			return items // an end is told once more
		}
		if len(items) > 0 && items[len(items)-1].Song.GetSampleRate() != item.Song.GetSampleRate() {
			items = nil
		}
		items = append(items, item)
	}
}

// dresser puts titles between the bytes of the music, if they were asked for.
type dresser struct {
	titles bool
	title  string // that plays
	said   string // that the player knows
	sent   int    // bytes since the last title
}

// item is what a player gets of it.
func (d *dresser) item(item *messages.Item) []byte {
	if song := item.Song; song != nil {
		d.title = titleOf(song)
	}
	frames := item.Frames
	if !d.titles {
		return frames
	}
	var out []byte
	for len(frames) > 0 {
		n := min(metaint-d.sent, len(frames))
		out = append(out, frames[:n]...)
		frames = frames[n:]
		if d.sent += n; d.sent == metaint {
			out, d.sent = append(out, d.meta()...), 0
		}
	}
	return out
}

// maxIcy is all that the length byte of a title can say.
const maxIcy = 255 * 16

// meta is a title as ICY has it, or that it is still the same.
func (d *dresser) meta() []byte {
	if d.title == d.said {
		return []byte{0}
	}
	d.said = d.title
	text := "StreamTitle='" + d.title + "';"
	blocks := (len(text) + 15) / 16
	return append(append([]byte{byte(blocks)}, text...), make([]byte, blocks*16-len(text))...)
}

// titleOf is what a player shows of a song.
func titleOf(song *messages.SongChange) string {
	title := plain.Text(song.GetTitle(), 512)
	if title == "" {
		title = strings.TrimSuffix(plain.Text(song.GetSong(), 512), ".mp3")
	}
	if artist := plain.Text(song.GetArtist(), 512); artist != "" {
		title = artist + " - " + title
	}
	title = strings.ReplaceAll(title, "';", "’;") // which would end it
	for len(title) > maxIcy-len("StreamTitle='';") {
		_, last := utf8.DecodeLastRuneInString(title)
		title = title[:len(title)-last]
	}
	return title
}
