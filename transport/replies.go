package transport

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/messages/plain"
)

// The sentences of the program of 2016, and some more.
const (
	knownWords  = "Say SONGS, REQUESTS, PLAY <name or number>, HELP or QUIT."
	sayBusy     = "The server is busy, try again later"
	sayNoSongs  = "No songs at this time"
	sayNoWishes = "No requests at this time"
	sayWhich    = "Say which song: PLAY <name or number>"
	sayWaits    = "%s (waits: %s)"
	sayQueued   = "Song %s has been requested!"
	sayUnsure   = " But it is not on the server's disk yet: if the server ends before that, the request is lost"
	sayAlready  = "Song has already been requested"
	sayNoSuch   = "Song does not exist"
	sayFull     = "The queue is full, try again later"
	sayNoToken  = "No token is needed"
	sayTooFast  = "Too many requests: you may ask %g times a second"
	sayTooMany  = "Too many requests from you or your address: you may request %g songs a minute"
	sayTooLong  = "A song's name has at most %d bytes"
)

var helpLines = []string{
	"SONGS                  the songs, numbered",
	"SONGS <words>          songs with these words in their names",
	fmt.Sprintf("SONGS <page>           %d songs a page: SONGS 1, SONGS 2, and so on", pageSize),
	"PLAY <name or number>  request a song",
	"REQUESTS               what was requested, next first; also <words> and <page>",
	"QUIT                   close this connection",
}

// plain answers a line that a person typed.
func (t *requestTalk) plain(line string) error {
	if strings.TrimSpace(line) == "" {
		return nil
	}
	switch word, rest := cutWord(line); word {
	case "QUIT", "END":
		return errDone
	case "SONGS":
		if rest == "" {
			return t.allSongs()
		}
	case "AUTH": // if one were needed, authenticate would have taken the line
		t.say(sayNoToken)
		return nil
	}
	lines, several := t.reply(line, uuid.NewString(), 0)
	if several { // an empty line marks the end
		lines = append(lines, "")
	}
	if !t.out.put([]byte(strings.Join(lines, "\n") + "\n")) {
		return net.ErrClosed
	}
	return nil
}

// allSongs answers SONGS a page at a time, so that for a client that asks again and again and does not read,
// only a few pages wait, not many lists.
func (t *requestTalk) allSongs() error {
	if !t.mayAsk() {
		t.say(fmt.Sprintf(sayTooFast, t.cfg.Limits.Requests))
		return nil
	}
	answer, _ := ask(t.life, t.root, t.cfg.Catalog, &messages.ListSongs{})
	list, is := answer.(*messages.List)
	if !is || len(list.Names) <= pageSize {
		lines := append(listed("SONGS", "", answer, sayNoSongs, 0), "", "")
		if !t.out.put([]byte(strings.Join(lines, "\n"))) {
			return net.ErrClosed
		}
		return nil
	}
	for first := 0; first < len(list.Names); first += pageSize {
		lines := append(numbered(list.Names, first, min(first+pageSize, len(list.Names))), "")
		if !t.out.put([]byte(strings.Join(lines, "\n"))) {
			return net.ErrClosed
		}
	}
	if !t.out.put([]byte("\n")) { // marks the end
		return net.ErrClosed
	}
	return nil
}

// cutWord splits the line into its first word, in upper case, and the rest.
func cutWord(line string) (word, rest string) {
	line = strings.TrimSpace(line)
	word, rest = line, ""
	if i := strings.IndexAny(line, " \t"); i >= 0 {
		word, rest = line[:i], strings.TrimSpace(line[i:])
	}
	return strings.ToUpper(word), rest
}

// reply asks the actors and puts their answer into words. several means that the answer may have any
// number of lines, of at most `most` bytes together (0: no limit). The same requestID twice is one request.
func (t *requestTalk) reply(line, requestID string, most int) (lines []string, several bool) {
	word, rest := cutWord(line)
	switch word {
	case "SONGS", "REQUESTS", "PLAY":
		if !t.mayAsk() {
			return []string{fmt.Sprintf(sayTooFast, t.cfg.Limits.Requests)}, false
		}
	}
	switch word {
	case "SONGS":
		answer, _ := ask(t.life, t.root, t.cfg.Catalog, &messages.ListSongs{})
		return listed(word, rest, answer, sayNoSongs, most), true
	case "REQUESTS":
		answer, _ := ask(t.life, t.root, t.cfg.Scheduler, &messages.ListRequests{})
		return listed(word, rest, answer, sayNoWishes, most), true
	case "PLAY":
		if rest == "" {
			return []string{sayWhich}, false
		}
		if len(rest) > maxWish {
			return []string{fmt.Sprintf(sayTooLong, maxWish)}, false
		}
		if t.cfg.Disk.Full() {
			return []string{sentence(errDisk)}, false
		}
		if !t.mayLog() {
			return []string{fmt.Sprintf(sayTooMany, t.cfg.Limits.Requests)}, false
		}
		return []string{t.play(rest, requestID)}, false
	case "HELP":
		return t.help(), true
	}
	return []string{"I do not know that word. " + t.sayable()}, false
}

// help returns the help. To a listener it offers END instead of QUIT, because listeners do not
// manage the connection.
func (t *requestTalk) help() []string {
	lines := append([]string(nil), helpLines...)
	if t.node != nil {
		lines[len(lines)-1] = "END                    stop listening"
	}
	return lines
}

// sayable returns the words that the client may say.
func (t *requestTalk) sayable() string {
	if t.node != nil {
		return strings.Replace(knownWords, "QUIT", "END", 1)
	}
	return knownWords
}

// mayAsk counts a request that costs an actor work, and returns false if that exceeds a limit.
func (t *requestTalk) mayAsk() bool {
	return t.asking.Allow() && t.pace.requests.of(t.conn.RemoteAddr()).Allow()
}

func (t *requestTalk) play(wish, requestID string) string {
	answer, unsure := t.request(&messages.RequestPlay{
		RequestId: requestID, ListenerId: t.node.GetId(), ListenerName: t.node.GetName(), Wish: wish,
	})
	switch answer := answer.(type) {
	case *messages.SongQueued:
		queued := fmt.Sprintf(sayQueued, oneLine(answer.GetSong()))
		if unsure {
			queued += sayUnsure
		}
		return queued
	case *messages.PlayRefused:
		switch answer.GetReason() {
		case messages.PlayRefused_REASON_ALREADY_REQUESTED:
			return sayAlready
		case messages.PlayRefused_REASON_NO_SUCH_SONG:
			return sayNoSuch
		case messages.PlayRefused_REASON_QUEUE_FULL:
			return sayFull
		}
	}
	return sayBusy
}

// request asks the scheduler. The answer is nil if it does not come in time; unsure means that the queued
// song is not on the disk yet.
func (t *requestTalk) request(wish *messages.RequestPlay) (answer proto.Message, unsure bool) {
	said, _ := ask(t.life, t.root, t.cfg.Scheduler, wish)
	switch said := said.(type) {
	case *messages.SongQueued:
		within, cancel := context.WithTimeout(t.life, settleIn)
		defer cancel()
		return said, !t.cfg.Disk.Settled(within)
	case *messages.PlayRefused:
		return said, false
	}
	return nil, false
}

// maxWish is the longest wish, in bytes: the longest name that a song can have.
const maxWish = messages.MaxSongName

// oneLine keeps a file's name from breaking its line.
func oneLine(name string) string { return plain.Text(name, maxWish) }
