package live

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"conga/actors"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/actors/relay/search"
	"conga/actors/requester"
	"conga/cmd/internal/node"
	"conga/cmd/internal/screen"
	"conga/messages"
)

// Listener is a listener as its own screen shows it.
type Listener struct {
	*node.Listener
	Programme *Programme
	Pane      *screen.Pane
	Server    string // as the user typed it
	Output    string // where the music is heard
	Clicks    bool   // it clicks instead of the music

	fed   []string // whom it fed at the last look
	whole *crowd
}

// Source is where the screen gets the listener's state until ctx ends.
func (l *Listener) Source(ctx context.Context) screen.Source {
	go Watch(ctx, l.Log, l.Pane, func(id string) string { return id })
	l.whole = &crowd{client: l.Client}
	source := screen.Source{
		Title: "you",
		Help: []string{
			"Each listener passes the music on to the next one. The chain shows all, as the server says it, with you, who feeds you and who hears from you.",
			"When the one that feeds you goes away, the next one above takes over; `what happens` says so, and what it cost.",
		},
		Snapshot: func() screen.Snapshot { return l.snapshot(ctx) },
		Ask:      Answering(l.Listener, l.Clicks),
		Search:   Searching(l.Client),
		News:     l.Pane.News,
	}
	if l.Clicks {
		source.Help = []string{
			"Each loudspeaker of conga tune clicks at the full second. If this one is late, let it come earlier with the keys, until both click as one. MEASURE does it by the microphone.",
			"What you set is kept for this device, and conga join uses it from its next start on.",
		}
	}
	if l.Output == Speaker || l.Output == "null" {
		source.Volume = func(percent int) { l.Client.SetGain(Gain(percent)) }
		source.Earlier = func(by time.Duration) string {
			now, err := l.Client.Offset(ctx, func(offset time.Duration) time.Duration { return offset + by })
			if err != nil {
				return ""
			}
			return SayOffset(now)
		}
	}
	return source
}

// Asking returns a function that asks the server a typed line.
func Asking(client *actors.Client) func(context.Context, string) []string {
	return func(ctx context.Context, line string) []string {
		answer, _ := client.Ask(ctx, line) // the only error is that ctx has ended
		return answer
	}
}

// Gain is the factor for the samples at a volume in percent. At 50 % the music sounds about half as loud.
func Gain(percent int) float64 { return math.Pow(float64(min(100, max(0, percent)))/100, 2) }

// Searching returns a function that asks the server for songs. These questions are not in the listener's log.
func Searching(client *actors.Client) func(context.Context, string) screen.Found {
	return func(ctx context.Context, words string) screen.Found {
		answer, err := client.AskUnlogged(ctx, strings.TrimSpace("SONGS "+words))
		if err != nil {
			return screen.Found{}
		}
		return listed(answer)
	}
}

// aboutSong matches a song in SONGS with its title: "bach.mp3 (Prelude in C – J. S. Bach)".
var aboutSong = regexp.MustCompile(`^(.+?\.[A-Za-z0-9]{2,4}) \((.+)\)$`)

// listed reads the answer to SONGS: numbered songs, and a sentence about others.
func listed(answer []string) (found screen.Found) {
	for _, line := range answer {
		number, name, is := strings.Cut(line, ". ")
		if _, err := strconv.Atoi(number); err != nil || !is {
			found.More = strings.TrimSpace(line)
			continue
		}
		song := screen.Song{Name: name}
		if parts := aboutSong.FindStringSubmatch(name); parts != nil {
			song.Name = parts[1]
			song.Title, song.Artist, _ = strings.Cut(parts[2], " – ")
		}
		found.Songs = append(found.Songs, song)
	}
	return found
}

func (l *Listener) snapshot(life context.Context) screen.Snapshot {
	ctx, cancel := context.WithTimeout(life, patience)
	defer cancel()
	now := l.Client.ServerNow()
	s := l.Programme.At(now)
	dump, err := l.Client.Dump(ctx)
	if err != nil {
		return s // an actor is being restarted
	}
	in, _ := dump.Live[relay.Actor].(relay.Live)
	out, _ := dump.Live[player.Actor].(player.Live)
	asks, _ := dump.Live[requester.Actor].(requester.Live)
	above := relayState(dump)
	Heard(&s, out, l.Programme, now)
	s.Sound = WhereHeard(out, l.Output)
	s.Chain = around(l.Client.Node(), above, in, out)
	all, more := l.whole.names(life, s.Chain, time.Now())
	chain, whole := placed(all, more, s.Chain)
	s.Chain, s.Part, s.Full = chain, !whole, time.Duration(in.SlackMs)*time.Millisecond
	s.Facts = l.facts(above, in, out, asks)
	l.tellFed(in.Downstream)
	return s
}

func relayState(dump actors.Dump) search.State {
	states, _ := dump.State.(map[string]any)
	state, _ := states[relay.Actor].(search.State)
	return state
}

// Heard puts into the snapshot what the player plays at now, so that the title changes together with the sound.
func Heard(s *screen.Snapshot, out player.Live, programme *Programme, now int64) {
	s.Levels = out.Levels
	song := out.Heard
	if song == nil { // nothing is heard here yet; the programme knows what others hear
		return
	}
	s.Song, s.Title, s.Artist = song.GetSong(), song.GetTitle(), song.GetArtist()
	s.Duration, s.Elapsed = micros(song.GetDurationUs()), micros(now-song.GetPlayAtUnixUs())
	s.Asked = programme.Asked(song.GetSong(), song.GetPlayAtUnixUs())
	s.Votes, s.Needed = programme.Votes(song.GetSong(), song.GetPlayAtUnixUs())
}

// around is the part of the chain that a listener knows: those above it, itself, and those below.
func around(self *messages.Node, above search.State, in relay.Live, out player.Live) []screen.Member {
	var chain []screen.Member
	if len(above.Ancestors) >= messages.Ancestors && above.Ancestors[messages.Ancestors-1].ID != messages.ServerID {
		chain = append(chain, screen.Member{Name: "…", Role: screen.Gap})
	}
	for _, node := range slices.Backward(above.Ancestors) {
		if node.ID == messages.ServerID { // it is at the top anyway
			continue
		}
		m := screen.Member{Name: node.Name}
		if above.Upstream != nil && above.Upstream.Node.ID == node.ID {
			m.Role, m.Note = screen.Feeder, "feeds you"
		}
		chain = append(chain, m)
	}
	me := screen.Member{
		Name: self.GetName(), Role: screen.Self, Measured: true,
		Buffered: time.Duration(out.BufferedMs) * time.Millisecond, Underruns: uint64(max(0, out.Underruns)),
	}
	switch {
	case above.Upstream == nil:
		me.Note = "nobody feeds you"
	case above.Upstream.Node.ID == messages.ServerID:
		me.Note = "the server feeds you"
	}
	chain = append(chain, me)
	for _, name := range in.Downstream {
		chain = append(chain, screen.Member{Name: name, Role: screen.Fed, Note: "hears from you"})
	}
	return chain
}

// facts are sentences about the listener that have no other place on the screen.
func (l *Listener) facts(above search.State, in relay.Live, out player.Live, asks requester.Live) []string {
	facts := []string{fmt.Sprintf("%s, at the radio of %s", l.Client.Node().GetName(), l.Server)}
	if l.HearsPast() {
		facts = append(facts, "you hear what was on earlier: LIVE returns to what is broadcast now")
	}
	if above.Upstream == nil {
		facts = append(facts, "nobody feeds you at the moment: asking those above")
	}
	carried := "you carry the music for nobody yet: you are the last of the line"
	if len(in.Downstream) > 0 {
		carried = "you carry the music for " + strings.Join(in.Downstream, " and ")
	}
	if sent := l.PassedOn(); sent > 0 {
		carried += fmt.Sprintf("; %s passed on", Bytes(sent))
	}
	facts = append(facts, carried)
	lost := "nothing is lost"
	if in.Lost > 0 {
		lost = fmt.Sprintf("%d pieces of music are lost", in.Lost)
	}
	if out.Underruns > 0 {
		lost += fmt.Sprintf(", %d times silence, %s in all", out.Underruns, ms(out.SilentMs*1000))
	}
	switch {
	case in.Splices == 1:
		lost += "; once somebody else had to feed you"
	case in.Splices > 1:
		lost += fmt.Sprintf("; %d times somebody else had to feed you", in.Splices)
	}
	return append(facts, lost, inTime(out, asks))
}

// inTime says how well this listener is in time, and how well it can know that.
func inTime(out player.Live, asks requester.Live) string {
	off := float64(out.ErrorUs) / 1000
	how := "late"
	if off < 0 {
		off, how = -off, "early"
	}
	text := fmt.Sprintf("%.1f ms %s; the server's clock is known within %.1f ms", off, how, asks.ClockErrorMs)
	if moves := out.Steps + out.Jumps; moves > 0 {
		text += fmt.Sprintf("; put right %d times", moves)
	}
	return text
}

// tellFed says which listeners below came and went.
func (l *Listener) tellFed(fed []string) {
	for _, name := range fed {
		if !slices.Contains(l.fed, name) {
			l.Pane.Say(time.Now(), screen.Event, name+" hears from you now")
		}
	}
	for _, name := range l.fed {
		if !slices.Contains(fed, name) {
			l.Pane.Say(time.Now(), screen.Event, name+" hears from you no longer")
		}
	}
	l.fed = fed
}

// Bytes is a number of bytes in words.
func Bytes(n int64) string {
	switch {
	case n < 1e6:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

// Speaker is the output that people hear, and Audible is what the screen says while it plays.
const (
	Speaker = "speaker"
	Audible = "on the loudspeaker"
)

// WhereHeard says where the player's output is heard, or why it is not.
func WhereHeard(live player.Live, output string) string {
	switch {
	case live.Silenced != "":
		return live.Silenced
	case output == "null", output == "none":
		return "into nothing (--output " + output + ")"
	case output != Speaker:
		return "into " + output
	case live.Output != Speaker || live.HeardNumber == 0:
		return "the loudspeaker is being opened"
	}
	return Audible
}
