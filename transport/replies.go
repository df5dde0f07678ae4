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

var helpLines = []string{
	"SONGS                  the songs, numbered",
	"SONGS <words>          songs with these words in title, artist or name",
	fmt.Sprintf("SONGS <page>           %d songs a page: SONGS 1, SONGS 2, and so on", pageSize),
	"PLAY <name or number>  request a song: its name or title, or words of title and artist",
	"REQUESTS               what was requested, next first; also <words> and <page>",
	"CANCEL                 take back your last request; CANCEL <name, or number in REQUESTS> another of yours",
	"SKIP                   vote for the next song, if this radio has votes",
	fmt.Sprintf("HISTORY                what was heard, newest first; HISTORY 2 shows the next %d", pageOfHistory),
	"WHO                    who listens, in the order of the chain; also <words> and <page>",
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
	case "AUTH": // who must say it has said it
		t.say(sayNoToken)
		return nil
	}
	lines, several := t.reply(line, uuid.NewString(), 0)
	if several { // an empty line is the unmistakable end
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
	list := t.names()
	if list == nil || len(list.Names) <= pageSize {
		lines := append(t.songs("", 0), "", "")
		if !t.out.put([]byte(strings.Join(lines, "\n"))) {
			return net.ErrClosed
		}
		return nil
	}
	for first := 0; first < len(list.Names); first += pageSize {
		lines := append(numbered(list.Names[first:min(first+pageSize, len(list.Names))], first), "")
		if !t.out.put([]byte(strings.Join(lines, "\n"))) {
			return net.ErrClosed
		}
	}
	if !t.out.put([]byte("\n")) { // the unmistakable end
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
	case "SONGS", "REQUESTS", "PLAY", "CANCEL", "SKIP", "HISTORY", "WHO":
		switch {
		case !t.mayAsk():
			return []string{fmt.Sprintf(sayTooFast, t.cfg.Limits.Requests)}, false
		case len(rest) > maxWish && word != "PLAY":
			return []string{fmt.Sprintf(sayTooLong, maxWish)}, false
		}
	}
	switch word {
	case "SONGS":
		return t.songs(rest, most), true
	case "REQUESTS":
		return t.requests(rest, most), true
	case "HISTORY":
		return t.history(rest, most), true
	case "WHO":
		return t.who(rest, most), true
	case "PLAY":
		switch {
		case rest == "":
			return []string{sayWhich}, false
		case len(rest) > maxWish:
			return []string{fmt.Sprintf(sayTooLong, maxWish)}, false
		}
		if no := t.mayChange(); no != "" {
			return []string{no}, false
		}
		return t.play(rest, requestID)
	case "CANCEL":
		if no := t.mayChange(); no != "" {
			return []string{no}, false
		}
		return []string{t.cancel(rest, requestID)}, false
	case "SKIP":
		if no := t.mayChange(); no != "" {
			return []string{no}, false
		}
		return []string{t.skip(requestID)}, false
	case "HELP":
		return t.help(), true
	}
	return []string{"I do not know that word. " + t.sayable()}, false
}

// mayChange counts a request that the log keeps, and returns why it is refused, if it is.
func (t *requestTalk) mayChange() (no string) {
	switch {
	case t.cfg.Disk.Full():
		return sentence(t.cfg.NoDisk)
	case !t.mayLog():
		return fmt.Sprintf(sayTooMany, t.cfg.Limits.Requests)
	}
	return ""
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
	return t.isHost() || t.asking.Allow() && t.pace.requests.of(t.from()).Allow()
}

func (t *requestTalk) now() int64 { return t.cfg.Now().UnixMicro() }

func (t *requestTalk) play(wish, requestID string) (lines []string, several bool) {
	answer, meant, unsure := t.request(t.asker().play(wish, requestID, t.now()))
	switch said := answer.said().(type) {
	case *messages.SongQueued:
		queued := fmt.Sprintf(sayQueued, oneLine(said.GetSong()))
		if unsure {
			queued += sayUnsure
		}
		if turn := TurnOf(answer.Turn); turn != "" && !t.terse() {
			return []string{queued, turn}, false
		}
		return []string{queued}, false
	case *messages.PlayRefused:
		return t.refusal(wish, answer.Waiting, said, meant)
	}
	return []string{sayBusy}, false
}

// playAnswer is the scheduler's answer; nil if it does not come in time.
type playAnswer struct{ *messages.PlayAnswer }

func (a playAnswer) said() proto.Message {
	if a.PlayAnswer == nil {
		return nil
	}
	return a.Said
}

// request finds out what is meant and asks the scheduler. unsure means that the queued song is not on the disk yet.
func (t *requestTalk) request(wish *messages.RequestPlay) (answer playAnswer, meant messages.Meaning, unsure bool) {
	if !t.search(func(l messages.Library) { meant = l.Mean(wish.GetWish()) }) {
		return answer, meant, false
	}
	if wish.Matches = int32(len(meant.Choices)); meant.Song != wish.GetWish() {
		wish.Song = meant.Song
	}
	said, _ := ask(t.life, t.root, t.cfg.Scheduler, wish)
	answer.PlayAnswer, _ = said.(*messages.PlayAnswer)
	t.cfg.Counters.requested(answer.said())
	if _, queued := answer.said().(*messages.SongQueued); queued {
		within, cancel := context.WithTimeout(t.life, settleIn)
		defer cancel()
		unsure = !t.cfg.Disk.Settled(within)
	}
	return answer, meant, unsure
}

func (t *requestTalk) cancel(wish, requestID string) string {
	answer, _ := ask(t.life, t.root, t.cfg.Scheduler, t.asker().cancel(wish, requestID))
	if answer, is := answer.(*messages.CancelAnswer); is {
		return cancelled(answer)
	}
	return sayBusy
}

func (t *requestTalk) skip(requestID string) string {
	answer, _ := ask(t.life, t.root, t.cfg.Scheduler, t.asker().skip(requestID, t.now()))
	if answer, is := answer.(*messages.SkipAnswer); is {
		return skipped(answer)
	}
	return sayBusy
}

// maxWish is the longest wish, in bytes: the longest name that a song can have.
const maxWish = messages.MaxSongName

// oneLine keeps a file's name from breaking its line.
func oneLine(name string) string { return plain.Text(name, maxWish) }
