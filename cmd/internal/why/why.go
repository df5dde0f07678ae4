// Package why tells in sentences what happened: to a listener, to a song that somebody
// asked for, or to the whole chain. It asks nobody; Tell is a function of events.
package why

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/messages"
	"conga/messages/plain"
)

// Story is what is known.
type Story struct {
	// Name is a listener's name or id, a song's name, or empty for the whole chain.
	Name  string
	Since time.Time
	Now   time.Time // its zone is that of the story's times
	// Server are the server's gathered events after Since, and State is its state now; without
	// Server it is empty. From ServerBegins on no event is missing. It is later than Since if
	// the log was folded.
	Server       []eventlog.Record
	ServerBegins time.Time
	State        actors.ServerState
	// Node are the own events after Since of the listener NodeID. NodeBegins is like ServerBegins.
	Node       []eventlog.Record
	NodeID     string
	NodeBegins time.Time
	// Notes say who could not be asked.
	Notes []string
}

// sentence is a line of the answer. Sentences of one time keep their order.
type sentence struct {
	at   time.Time
	text string
}

// teller gathers sentences about one subject.
type teller struct {
	Story
	names    map[string]string // id to name
	labels   map[string]string // id to name, with a part of the id if two have the name
	subjects map[string]bool   // ids; nil: everybody
	told     []sentence
	speaker  string // whose words are told now; empty: the server's
	tallies  map[string]*tally
	quiet    []offAir        // times when nothing was broadcast
	matched  map[uint64]bool // the server's reports that the listener's own log has, too
}

// tally adds up what became of a listener's music.
type tally struct {
	failures, silences int
	longest            time.Duration // the longest search
	least              time.Duration // what it still had to play when it was fed again
	missing            uint64
	silent             time.Duration
	unsent             time.Duration // of it, because nothing was broadcast
	goesOn             bool          // the end of one silence is not known
	unfed              time.Time     // since when nobody feeds it; zero: somebody does
}

func (t *teller) tally(id string) *tally {
	if t.tallies[id] == nil {
		t.tallies[id] = &tally{}
	}
	return t.tallies[id]
}

// Song is the song that the story's name means, according to the server's state; empty: none.
func Song(s Story) string { return (&teller{Story: s}).song(s.Name) }

// Listeners returns the ids of the listeners with the story's name or id. A listener's words about
// others count only if the server was not asked.
func Listeners(s Story) (ids []string) {
	for id := range s.namesakes() {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// namesakes returns the listeners that the story may be about: id to debug address.
func (s Story) namesakes() map[string]string {
	exactly := s.called(func(name string) bool { return name == s.Name })
	if len(exactly) > 0 {
		return exactly
	}
	return s.called(func(name string) bool { return sameName(name, s.Name) })
}

// sameName says whether two names are the same but for capital letters, as for PLAY.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }

// isSongOf says whether the file has that name, with or without its extension.
func isSongOf(file, name string) bool {
	return sameName(file, name) || sameName(file, name+".mp3") || sameName(file+".mp3", name)
}

// called returns the listeners with such a name, or with the story's id.
func (s Story) called(so func(name string) bool) map[string]string {
	all := map[string]string{}
	add := func(id, name, http string) {
		if id != "" && id != messages.ServerID && (id == s.Name || so(name)) {
			all[id] = cmp.Or(http, all[id])
		}
	}
	for _, r := range s.Server {
		if about := nodes(r.Event); len(about) > 0 { // the other nodes in it are that one's word
			add(about[0].GetId(), about[0].GetName(), about[0].GetHttp())
		}
	}
	if len(s.Server) == 0 && s.State.ChainManager.Chain.Len() == 0 {
		for _, r := range s.Node {
			for _, n := range nodes(r.Event) {
				add(n.GetId(), n.GetName(), n.GetHttp())
			}
		}
	}
	for m := range s.State.ChainManager.Chain.All() {
		add(m.ID, m.Name, m.HTTP)
	}
	return all
}

// Ask returns which listener the story is about, and where to ask it for its own log: the one of that
// name that is in the chain, or was. Both are empty if there is none. If several have the name, it
// returns an error that says how to tell them apart, because one must not speak for another.
func Ask(s Story) (id, http string, err error) {
	all := s.namesakes()
	var here []string
	for m := range s.State.ChainManager.Chain.All() {
		if _, is := all[m.ID]; is {
			here = append(here, m.ID)
		}
	}
	switch {
	case len(here) == 1:
		return here[0], all[here[0]], nil
	case len(here) > 1:
		return "", "", fmt.Errorf("%d listeners are called %s, so none of them was asked for its own log: ask for one of them by its id (%s)",
			len(here), s.Name, strings.Join(here, ", "))
	case len(all) == 1:
		for id, http := range all {
			return id, http, nil
		}
	}
	return "", "", nil
}

// several is for words that many songs have.
func several(words string, meant messages.Meaning) error {
	var names []string
	for _, choice := range meant.Choices {
		names = append(names, choice.Song.GetName())
	}
	if meant.More > 0 {
		names = append(names, fmt.Sprintf("%d more", meant.More))
	}
	return fmt.Errorf("several songs match %q: give the name of one: %s", words, strings.Join(names, ", "))
}

// Tell tells the story, one or two sentences a line. It returns an error if nobody and nothing has
// the name.
func Tell(s Story) ([]string, error) {
	t := &teller{
		Story: s, names: map[string]string{messages.ServerID: "the server"}, labels: map[string]string{}, tallies: map[string]*tally{},
		matched: map[uint64]bool{},
	}
	for _, r := range s.Server {
		for _, n := range nodes(r.Event) {
			if n.GetId() != messages.ServerID && n.GetName() != "" {
				t.names[n.GetId()] = n.GetName()
			}
		}
	}
	for m := range s.State.ChainManager.Chain.All() {
		t.names[m.ID] = m.Name
	}
	for _, r := range s.Node { // for names of nodes that the server does not know
		for _, n := range nodes(r.Event) {
			t.names[n.GetId()] = cmp.Or(t.names[n.GetId()], n.GetName())
		}
	}
	t.label()
	if t.NodeID == "" {
		t.NodeID = speaker(s)
	}
	song := t.song(s.Name)
	if s.Name != "" {
		ids := Listeners(s)
		if len(ids) == 0 && song == "" { // a title then, as PLAY knows it
			meant := s.State.Scheduler.Mean(s.Name)
			if len(meant.Choices) > 0 {
				return nil, several(s.Name, meant)
			}
			song = meant.Song
		}
		if len(ids) == 0 && song == "" {
			return nil, fmt.Errorf("nobody called %q was in the chain since %s, and no such song is known: "+
				"a longer --since looks further back", s.Name, t.clock(t.begins()))
		}
		t.subjects = map[string]bool{}
		for _, id := range ids {
			t.subjects[id] = true
		}
		if len(ids) == 0 {
			t.aboutSong(song)
			return t.lines(), nil
		}
	}
	t.broadcast()
	t.chain()
	t.own()
	t.requests()
	t.summary()
	return t.lines(), nil
}

// speaker says whose own log the story has. The log says so itself, unless it no longer has its beginning.
func speaker(s Story) string {
	for _, r := range s.Node {
		if e, is := r.Event.(*messages.NodeStarted); is {
			return e.GetNode().GetId()
		}
	}
	if ids := Listeners(s); len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// lines returns the notes, then what happened, in order.
func (t *teller) lines() []string {
	slices.SortStableFunc(t.told, func(a, b sentence) int { return a.at.Compare(b.at) })
	lines := slices.Clone(t.Notes)
	if len(t.Server) > 0 && t.ServerBegins.After(t.Since.Add(time.Second)) {
		lines = append(lines, fmt.Sprintf("The story begins at %s: earlier events were folded, or are too many to tell.", t.clock(t.ServerBegins)))
	}
	for _, s := range t.told {
		if s.at.After(t.Now) {
			lines = append(lines, s.text) // about now
			continue
		}
		lines = append(lines, t.clock(s.at)+"  "+s.text)
	}
	for i, line := range lines {
		lines[i] = plain.Text(line, maxSentence)
	}
	return lines
}

// maxSentence is the longest line of the answer. It has room for two reasons and several names.
const maxSentence = 2000

func (t *teller) say(at time.Time, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	first, _, _ := strings.Cut(text, " ")
	if t.speaker != "" {
		text = fmt.Sprintf("%s's own log says: %s", t.speaker, text)
	} else if slices.Contains(ownWords, first) { // names stay as they are
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	t.told = append(t.told, sentence{at, text})
}

// ownWords begin sentences that do not begin with a name.
var ownWords = []string{"the", "in", "its", "nothing", "nobody", "somebody", "before", "from", "since"}

// sayNow says what is true at the end of the story.
func (t *teller) sayNow(format string, args ...any) {
	t.say(t.Now.Add(time.Hour), format, args...)
}

// about says whether the story is about the listener.
func (t *teller) about(id string) bool { return t.subjects == nil || t.subjects[id] }

// name is the node's name for people.
func (t *teller) name(id string) string {
	switch {
	case t.labels[id] != "":
		return t.labels[id]
	case id == "":
		return "somebody"
	}
	return "listener " + short(id, 8)
}

func short(id string, n int) string { return id[:min(n, len(id))] }

// label makes sure that no two listeners have the same label.
func (t *teller) label() {
	ids := map[string][]string{}
	for id, name := range t.names {
		ids[name] = append(ids[name], id)
	}
	for name, same := range ids {
		for n := 8; name != ""; n += 4 {
			parts := map[string]bool{}
			for _, id := range same {
				parts[short(id, n)] = true
				t.labels[id] = fmt.Sprintf("%s (%s)", name, short(id, n))
			}
			if len(parts) == len(same) || n > maxID {
				break
			}
		}
		if len(same) == 1 && name != "" {
			t.labels[same[0]] = name
		}
	}
}

// maxID is longer than any id.
const maxID = 64

// node is the node's name for people, also if only this event names it.
func (t *teller) node(n *messages.Node) string {
	if n.GetId() != messages.ServerID && t.names[n.GetId()] == "" && n.GetName() != "" {
		return n.GetName()
	}
	return t.name(n.GetId())
}

// begins is since when none of the server's events is missing.
func (t *teller) begins() time.Time { return latest(t.Since, t.ServerBegins) }

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// clock is a time of the day, with the day if it is not today.
func (t *teller) clock(at time.Time) string {
	at = at.In(t.Now.Location())
	if at.Format(time.DateOnly) != t.Now.Format(time.DateOnly) {
		return at.Format("2006-01-02 15:04:05.000")
	}
	return at.Format("15:04:05.000")
}

func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// span is a duration as people say it.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "less than 1 ms"
	case d < 10*time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Round(time.Second).Seconds()))
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Round(time.Second).Seconds())%60)
}

// plural is "1 item", "2 items".
func plural(n uint64, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// nodes returns the nodes that the event names.
func nodes(event any) []*messages.Node {
	switch e := event.(type) {
	case *messages.ListenerJoined:
		return []*messages.Node{e.GetNode()}
	case *messages.ListenerReturned:
		return []*messages.Node{e.GetNode()}
	case *messages.ListenerLeft:
		return []*messages.Node{{Id: e.GetId(), Name: e.GetName()}}
	case *messages.ListenerFellSilent:
		return []*messages.Node{{Id: e.GetId(), Name: e.GetName()}}
	case *messages.ListenerMoved:
		return []*messages.Node{{Id: e.GetId(), Name: e.GetName()}}
	case *messages.BranchMoved:
		return []*messages.Node{{Id: e.GetId(), Name: e.GetName()}}
	case *messages.ListenerAudited:
		return []*messages.Node{{Id: e.GetId(), Name: e.GetName()}}
	case *messages.VerdictEnded:
		return []*messages.Node{{Id: e.GetId(), Name: e.GetName()}}
	case *messages.ListenerReconnected:
		return []*messages.Node{{Id: e.GetId(), Name: e.GetName()}, e.GetUpstream(), e.GetLost()}
	case *messages.SongQueued:
		return []*messages.Node{{Id: e.GetListenerId(), Name: e.GetListenerName()}}
	case *messages.PlayRefused:
		return []*messages.Node{{Id: e.GetListenerId(), Name: e.GetListenerName()}}
	case *messages.NodeStarted:
		return []*messages.Node{e.GetNode()}
	case *messages.UpstreamConnected:
		return []*messages.Node{e.GetNode()}
	case *messages.UpstreamLost:
		return []*messages.Node{e.GetNode()}
	}
	return nil
}
