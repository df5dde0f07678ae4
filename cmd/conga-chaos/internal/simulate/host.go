package simulate

import (
	"maps"
	"slices"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"conga/actors/chainmanager"
	"conga/actors/chainmanager/chain"
	"conga/actors/relay/machine"
	"conga/cmd/conga-chaos/internal/schedule"
	"conga/messages"
	"conga/transport"
)

// host is the server's part that decides on the chain: the chain's core, and around it what the chain manager does.
type host struct {
	*world
	state   chain.State
	event   uint64
	news    chain.Tellings
	notes   map[string]*messages.Neighbours // what each listener was last told
	left    map[string]int64                // when listeners left
	seen    []*messages.PeerLost            // losses that the server has seen
	said    []*messages.PeerLost            // losses that listeners report; only the last of each
	waiting bool
	// auditing has the accusers, by whom they accuse. As in the chain manager, nobody is audited twice at once, and nobody's
	// word starts two audits at once.
	auditing map[string]string
	feeds    map[string]bool // whom the server feeds, by the chain
	turns    transport.Turns
	watch    chain.Watch
	verdict  int64         // when the next one ends
	words    *rate.Limiter // of reports, if all come from one address
	playing  int64         // bytes of the line that says which song comes
}

// record is what TLS adds to each line; headers are what TCP and IP (version 4) add to a packet.
const record, headers = 22, 40

// says sends a line to the server, and lets do happen when it is there.
func (w *world) says(l *listener, line proto.Message, do func()) {
	size := lineSize(line)
	w.count.ToServer += size
	w.after(l.up.send(w.now, int(size+headers))-w.now+way(l.spot, w.server.spot)+w.hop, func() {
		l.said = w.now
		do()
	})
}

func lineSize(line proto.Message) int64 {
	b, err := transport.AppendLine(nil, line)
	if err != nil {
		panic(err) // each message that is said here has a line
	}
	return int64(len(b) + record)
}

// joins takes a listener in.
func (w *world) joins(l *listener) {
	if l.state != lives {
		return
	}
	l.joined = true
	h := &w.host
	now := startsAt + w.now
	w.count.ToServer += handshake + helloSize(l)
	h.mend()
	address := l.node.GetRelay()
	if w.plan.OneAddress {
		address = "127.0.0.1/32"
	}
	h.decide(&messages.JoinChain{Node: l.node, Address: address, Feed: l.offers, AtUnixUs: now})
	welcome := &messages.Welcome{Version: messages.DialectVersion, Node: l.node, Epoch: 1, ServerUnixUs: now}
	w.count.FromServer += welcomeKey
	l.said = w.now
	h.tells(l, welcome, func() {
		w.step(l, welcome)
		if l.state < leaving {
			w.ping(l)
			w.asksTime(l)
		}
	})
	w.count.FromServer += h.playing
	h.tell()
}

// handshake is what TLS takes before the first line, both ways, as TestSimulate_AsReal's connections show. welcomeKey is
// what the server's key adds to WELCOME, which must not tell it to relays here: nothing is signed.
const handshake, welcomeKey = 911, 53

// helloSize is how long the listener's HELLO is.
func helloSize(l *listener) int64 {
	node := proto.CloneOf(l.node)
	node.Key = make([]byte, 32)
	return lineSize(&messages.Hello{Version: messages.DialectVersion, Node: node, Signature: make([]byte, 64), Instance: node.GetId()})
}

// has reports whether the listener stands in the chain.
func (h *host) has(l *listener) bool {
	_, is := h.state.Chain.Find(l.node.Id)
	return is
}

// tells sends a line to a listener.
func (h *host) tells(l *listener, line proto.Message, do func()) {
	size := lineSize(line)
	h.count.FromServer += size
	h.count.Lines++
	h.after(h.server.up.send(h.now, int(size+headers))-h.now+way(l.spot, h.server.spot)+h.hop, func() {
		if l.state < gone {
			do()
		}
	})
}

// reports brings a relay's word to the server.
func (w *world) reports(l *listener, e machine.Tell) {
	h := &w.host
	switch word := e.Word.(type) {
	case *messages.PeerLost:
		if !h.has(l) { // it has no WELCOME yet
			return
		}
		w.count.Reports++
		w.says(l, word, func() {
			if word.SeenBy = l.node.Id; h.mayReport() {
				h.accuses(word)
			}
		})
	case *messages.Reconnected:
		w.says(l, word, func() { h.mayReport() })
		w.repaired(word)
	}
	if l.state < leaving {
		w.ping(l) // it asks whether the server is there
	}
}

// mayReport counts a report. Beyond what an address may send, transport drops them.
func (h *host) mayReport() bool {
	return !h.plan.OneAddress || h.words.AllowN(time.UnixMicro(startsAt+h.now), 1)
}

// plays tells everybody which song comes.
func (h *host) plays(song *messages.SongChange) {
	h.playing = lineSize(&messages.Playing{
		Song: &messages.Song{
			Name: song.GetSong(), Title: song.GetTitle(), Artist: song.GetArtist(), DurationUs: song.GetDurationUs(),
			SampleRate: song.GetSampleRate(), Frames: song.GetFrames(),
		}, PlayAtUnixUs: song.GetPlayAtUnixUs(),
	})
	h.count.FromServer += h.playing * int64(len(h.living))
	h.server.up.send(h.now, int(h.playing+headers)*len(h.living))
	h.count.Lines += int64(len(h.living))
}

// accuses takes what a listener says of the node that feeds it.
func (h *host) accuses(word *messages.PeerLost) {
	if word.GetFault() >= messages.Fault_FAULT_SLOW {
		h.accused(word)
		h.tell()
		return
	}
	for i, other := range h.said {
		if other.GetSeenBy() == word.GetSeenBy() {
			h.said = append(h.said[:i], h.said[i+1:]...)
			break
		}
	}
	h.said = append(h.said, word)
	h.wait()
}

func (h *host) accused(word *messages.PeerLost) {
	suspect := h.state.ToAudit(word) // before the decision, as in the chain manager
	h.decide(word)
	if suspect == nil || h.auditing[word.GetId()] != "" || slices.Contains(slices.Collect(maps.Values(h.auditing)), word.GetSeenBy()) {
		return
	}
	h.count.Audits++
	h.auditing[word.GetId()] = word.GetSeenBy()
	accuser, _ := h.state.Chain.Find(word.GetSeenBy())
	h.audits(&messages.AuditEnded{Id: word.GetId(), SeenBy: word.GetSeenBy(), Address: accuser.Address}, word.GetFault())
}

// auditTakes is chainmanager's: how long the server listens to a node that is accused.
const auditTakes = 6_000_000

// audits asks the accused for the music. It finds whether the node answers; whether its music is late is not looked at.
func (h *host) audits(found *messages.AuditEnded, fault messages.Fault) {
	at := h.parties[found.GetId()]
	takes := int64(auditTakes)
	switch {
	case at.state == vanished && at.self.hit == schedule.Freeze: // its system still takes the connection
		found.Fault, takes = messages.Fault_FAULT_SILENT, messages.SilenceIsDeath.Microseconds()
	case at.state == vanished:
		found.Fault, takes = messages.Fault_FAULT_GONE, transport.NodePatience(0).Microseconds()
	case at.state == gone:
		found.Fault, takes = messages.Fault_FAULT_GONE, 2*way(at.spot, h.server.spot)
	case at.state == leaving, chain.Late(fault):
		delete(h.auditing, found.GetId())
		return
	}
	h.after(takes, func() {
		delete(h.auditing, found.GetId())
		if found.GetFault() == messages.Fault_FAULT_UNSPECIFIED && at.state != lives {
			return
		}
		found.AtUnixUs = startsAt + h.now
		h.decide(found)
		h.tell()
	})
}

// leaves takes a goodbye.
func (h *host) leaves(l *listener) {
	if !h.has(l) {
		return
	}
	h.left[l.node.Id] = h.now
	h.decide(&messages.LeaveChain{Id: l.node.Id, AtUnixUs: startsAt + h.now})
	h.mend()
	h.tell()
}

// misses notices that a listener's request connection has ended.
func (h *host) misses(l *listener, reason string) {
	h.seen = append(h.seen, &messages.PeerLost{Id: l.node.Id, SeenBy: messages.ServerID, Reason: reason, AtUnixUs: startsAt + h.now})
	h.wait()
}

func (h *host) wait() {
	if h.waiting {
		return
	}
	h.waiting = true
	h.after(chainmanager.Together.Microseconds(), func() {
		h.waiting = false
		h.mend()
		h.tell()
		for len(h.said) > 0 {
			h.accused(h.said[0])
			h.said = h.said[1:]
		}
		h.tell()
	})
}

// mend removes those that were lost.
func (h *host) mend() {
	if len(h.seen) == 0 {
		return
	}
	for _, lost := range h.seen {
		h.left[lost.GetId()] = h.now
	}
	h.decide(&messages.PeersLost{Lost: h.seen})
	h.seen = nil
}

func (h *host) decide(cmd proto.Message) {
	for _, event := range h.state.Decide(cmd) {
		h.state = h.state.Apply(event)
		h.event++
		switch event.(type) {
		case *messages.ChainSpliced:
			h.count.Splices++
		case *messages.ListenerMoved:
			h.count.Moves++
		case *messages.BranchMoved:
			h.count.Branches++
		}
	}
	if ends := h.state.NextEnd(); ends > 0 && ends != h.verdict {
		h.verdict = ends
		h.after(ends-startsAt-h.now, func() {
			h.decide(&messages.ExpireVerdicts{AtUnixUs: startsAt + h.now})
			h.tell()
		})
	}
}

// depthEvery and saidLately are chainmanager's and transport's: how often the chain's depth is looked at, and how old a
// listener's word of it may be.
const depthEvery, saidLately = 5_000_000, 25_000_000

// looksAtDepth lets the chain find out whether it is too deep, by what the listeners say of their windows.
func (h *host) looksAtDepth() {
	takes := func(id string) (time.Duration, bool) {
		l := h.parties[id].self
		if l == nil || l.clock.told <= 0 || h.now-l.clock.toldAt > saidLately {
			return 0, false
		}
		return messages.Slack - messages.MaxChunkDuration - time.Duration(l.clock.told)*time.Microsecond, true
	}
	if weigh := h.watch.Look(h.state, messages.Slack, takes, time.UnixMicro(startsAt+h.now)); weigh != nil {
		h.decide(weigh)
		h.tell()
	}
	h.after(depthEvery, h.looksAtDepth)
}

// tell tells each listener its neighbours if they differ from what it was last told.
func (h *host) tell() {
	change := h.news.Follow(h.state)
	for id, standing := range change.Standing {
		switch standing {
		case messages.StandingOutside:
			delete(h.notes, id)
			delete(h.feeds, id)
		case messages.StandingInChain:
			delete(h.feeds, id)
		case messages.StandingFedByServer:
			h.feeds[id] = true
		}
	}
	for _, n := range change.Tell {
		before := h.notes[n.Id]
		if proto.Equal(before, n) {
			continue
		}
		news := proto.CloneOf(n)
		news.Event, news.Epoch = h.event, 1
		news.Guests = append(chain.AlsoBefore(n.Guests, before.GetGuests()), auditor)
		if l := h.parties[n.Id].self; l != nil && l.state < gone {
			h.count.Told++
			h.tells(l, news, func() { h.world.told(l, news) })
		}
		h.notes[n.Id] = n
	}
}

// auditor is as whom the server would ask for the music.
const auditor = "00000000-5d1c-8b0e-9c41-000000000000"

// forgets drops what is remembered of those that left long ago.
func (h *host) forgets() {
	for id, at := range h.left {
		if h.now-at > listGrace {
			delete(h.left, id)
			delete(h.parties, id)
		}
	}
	h.after(int64(time.Minute/time.Microsecond), h.forgets)
}
