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
	// metaint is how many bytes of music lie between two titles, for a player that asked for titles. At 128 kbit/s this
	// is less than a chunk, so that the title changes with its song.
	metaint = 1024
	// writeTakes is how long a player may take for one chunk. Its window ends after twelve seconds anyway.
	writeTakes = 10 * time.Second
	// comesAgain is how often a playlist names the stream. A player whose stream ends goes on with the next entry.
	comesAgain = 200
)

// Cursor is a player's place in the music. It belongs to one goroutine.
type Cursor interface {
	Next(ctx context.Context) (*messages.Item, error)
	Close()
}

// Music plays for programs that know nothing of conga, out of a node's own window: one endless mp3 of whole
// frames at the pace of the music.
type Music struct {
	Open func() Cursor // where a new player begins
	Most int           // players at a time

	now atomic.Int64
	cut atomic.Int64
	// mixed: some player got songs of several sample rates.
	mixed atomic.Bool
}

// Now is how many players there are.
func (m *Music) Now() int { return int(m.now.Load()) }

// Cut is how many players were cut off because they did not read.
func (m *Music) Cut() int { return int(m.cut.Load()) }

// enter takes a place; false if there is none. Call leave to give it back.
func (m *Music) enter() bool {
	if m.now.Add(1) > int64(m.Most) {
		m.now.Add(-1)
		return false
	}
	return true
}

func (m *Music) leave() { m.now.Add(-1) }

// Handler serves the music and its playlists, and nothing else.
func (m *Music) Handler() http.Handler {
	mux := http.NewServeMux()
	m.On(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Connection", "close") // the connection's place is for others
		mux.ServeHTTP(w, r)
	})
}

// On adds the music and its playlists to mux.
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
	if visit := transport.VisitOf(r.Context()); visit != nil && visit.Secret() { // the visitor has a pass, and its player needs it, too
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

// play sends music until the client leaves or does not read.
func (m *Music) play(w http.ResponseWriter, r *http.Request) {
	if !m.enter() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "This node plays for as many as it can. Try again, or ask the server's port, which knows the others.", http.StatusServiceUnavailable)
		return
	}
	defer m.leave()
	m.playFrom(w, r, m.Open)
}

// playFrom sends the music that open gives, until the client leaves or does not read.
func (m *Music) playFrom(w http.ResponseWriter, r *http.Request, open func() Cursor) {
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
	if m.send(r, w, out, open(), titles) != nil && r.Context().Err() == nil {
		m.cut.Add(1)
	}
}

// send sends music until the client leaves or does not read, or, nil, until the player must come anew.
func (m *Music) send(r *http.Request, w io.Writer, out *http.ResponseController, cursor Cursor, titles bool) error {
	defer cursor.Close()
	dress, rates, ends := &dresser{titles: titles}, &rates{}, endsAtAnotherRate(r)
	for begun := beginning(cursor); ; {
		item, err := (*messages.Item)(nil), error(nil)
		if len(begun) > 0 {
			item, begun = begun[0], begun[1:]
		} else if item, err = cursor.Next(r.Context()); err != nil {
			return err
		}
		bytes := dress.item(item)
		if len(bytes) == 0 {
			continue
		}
		if rates.turn(item) {
			if m.mixed.Store(true); ends {
				return nil
			}
		}
		_ = out.SetWriteDeadline(time.Now().Add(writeTakes))
		if _, err := w.Write(bytes); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// head writes the headers of the answer.
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
	// Neither a length nor HTTP's chunks: old players know only a stream that ends with its connection.
	header.Set("Transfer-Encoding", "identity")
	header.Set("Connection", "close")
}

// beginning is the music that is there already for a new player. It begins after the last change of the sample rate,
// because a player whose stream ended there comes anew.
func beginning(cursor Cursor) (items []*messages.Item) {
	now, over := context.WithCancel(context.Background())
	over() // so Next returns what is there and does not wait
	for {
		item, err := cursor.Next(now)
		if err != nil {
			return items // the next call returns the error again
		}
		if len(items) > 0 && items[len(items)-1].Song.GetSampleRate() != item.Song.GetSampleRate() {
			items = nil
		}
		items = append(items, item)
	}
}

// dresser puts titles between the bytes of the music, if the player asked for them.
type dresser struct {
	titles bool
	title  string // of the song that plays
	said   string // the title that the player knows
	sent   int    // bytes since the last title
}

// item is the bytes that the player gets for an item.
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

// maxIcy is the longest title that its length byte can announce.
const maxIcy = 255 * 16

// meta is the title in ICY's format; empty if it is still the same.
func (d *dresser) meta() []byte {
	if d.title == d.said {
		return []byte{0}
	}
	d.said = d.title
	text := "StreamTitle='" + d.title + "';"
	blocks := (len(text) + 15) / 16
	return append(append([]byte{byte(blocks)}, text...), make([]byte, blocks*16-len(text))...)
}

// titleOf is the title that a player shows for a song.
func titleOf(song *messages.SongChange) string {
	title := plain.Text(song.GetTitle(), 512)
	if title == "" {
		title = strings.TrimSuffix(plain.Text(song.GetSong(), 512), ".mp3")
	}
	if artist := plain.Text(song.GetArtist(), 512); artist != "" {
		title = artist + " - " + title
	}
	title = strings.ReplaceAll(title, "';", "’;") // "';" would end the title
	for len(title) > maxIcy-len("StreamTitle='';") {
		_, last := utf8.DecodeLastRuneInString(title)
		title = title[:len(title)-last]
	}
	return title
}
