package relay

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// patience is how long an ancestor may take to answer before the next one is
	// asked too: a frozen process accepts connections and never answers.
	patience = 40 * time.Millisecond
	// firstRetry to quickRetry are the waits between searches that found nobody, while a
	// restarted server can still be found within the slack; after that up to lastRetry.
	firstRetry   = 20 * time.Millisecond
	quickRetry   = 120 * time.Millisecond
	quickRetries = 28 // some 3 s
	lastRetry    = 1600 * time.Millisecond
	// blameless is how long nobody is blamed for a slow link after somebody was: if every
	// upstream looks slow to a node, its own line is slow.
	blameless = 10 * time.Second
	// askAgain is how long others are not asked again for earlier music; each time in vain
	// doubles the wait.
	askAgain = time.Second
	// climb is how long a node is fed by another than its first choice before it tries
	// that again; each time in vain doubles the wait.
	climb = 5 * time.Second
	// doublings bounds that wait, hungerDoublings that between two rounds in which all are asked
	// for music: when music is back, it must be found within some seconds.
	doublings, hungerDoublings = 5, 1
)

// looked is the message of the relay's steady timer.
type looked struct{ round uint64 }

// watch is the relay's timers, and when it did what it does not do too often. It belongs to
// the relay's goroutine.
type watch struct {
	search    *time.Timer // SearchOn
	searching bool        // its message has not come yet
	steady    *time.Timer // looked
	round     uint64      // of steady

	epoch           uint64    // of the upstream, as it said itself
	asked, reviewed time.Time // others for music; the first choice whether it is well
	hungers, climbs int       // how often since
	lates           int       // how often in vain for earlier music
	blamed          time.Time // when a node was blamed for a slow line
}

// retryAfter is the wait behind so many searches in a row that found nobody. It has
// jitter: many orphans must not come in step.
func retryAfter(searches uint32) time.Duration {
	wait := quickRetry
	switch {
	case searches <= 5:
		wait = min(firstRetry<<max(int(searches)-1, 0), quickRetry)
	case searches > quickRetries:
		wait = min(quickRetry<<min(searches-quickRetries, 10), lastRetry)
	}
	return wait/2 + rand.N(wait/2)
}

// fed begins anew with another upstream.
func (w *watch) fed() {
	w.stopSearch()
	w.reviewed = time.Now()
	w.hungers, w.lates = 0, 0
}

func (w *watch) stopSearch() {
	w.searching = false
	if w.search != nil {
		w.search.Stop()
	}
}

func (w *watch) stop() {
	w.stopSearch()
	w.round++
	if w.steady != nil {
		w.steady.Stop()
	}
}

// searchOn goes on with the search after wait.
func (r *relay) searchOn(ctx actor.Context, wait time.Duration) {
	r.watch.stopSearch()
	r.watch.searching = true
	root, self, link := ctx.ActorSystem().Root, ctx.Self(), r.keep.State().Links
	r.watch.search = time.AfterFunc(wait, func() {
		root.Send(self, &messages.SearchOn{Link: link, AtUnixUs: r.cfg.ServerNow()})
	})
}

func (r *relay) lookAgain(ctx actor.Context) {
	root, self := ctx.ActorSystem().Root, ctx.Self()
	r.watch.round++
	next := looked{r.watch.round}
	r.watch.steady = time.AfterFunc(glance, func() { root.Send(self, next) })
}

// look asks others for the music if the upstream has none or has it late, and the first
// choice whether it is well again if another feeds. The upstream is kept until one does
// better; but one that is no ancestor any more is kept only while music comes from it. For
// two nodes that learn at different times that they have changed places may feed each other,
// and then nobody else.
func (r *relay) look(ctx actor.Context, msg looked) {
	if msg.round != r.watch.round {
		return
	}
	r.lookAgain(ctx)
	now, w := time.Now(), &r.watch
	r.arrival.glanced(now, r.nowUs())
	r.endTrials(ctx, now)
	state := r.keep.State()
	if state.Upstream == nil {
		return
	}
	hungry := r.arrival.hungry(now)
	if hungry && !state.listed() {
		r.closed(ctx, &messages.LinkClosed{
			Link: state.Upstream.Number, Reason: "it is no ancestor any more, and sends no music",
		})
		return
	}
	late := r.arrival.late()
	switch {
	case hungry:
		if now.Sub(w.asked) >= starving<<min(w.hungers, hungerDoublings) {
			w.hungers++
			r.askOthers(ctx, messages.SearchOn_WHY_STARVING)
		}
	case late && now.Sub(w.asked) >= askAgain<<min(w.lates, doublings):
		why := messages.SearchOn_WHY_LATE
		if r.arrival.urgent() && w.lates > 0 {
			why = messages.SearchOn_WHY_URGENT
		}
		w.lates++
		r.askOthers(ctx, why)
	case late || len(state.Seeking) > 0:
	case now.Sub(w.reviewed) >= climb<<min(w.climbs, doublings) && now.Sub(w.blamed) >= blameless: // else a slow one could not be left again
		w.climbs++
		w.reviewed = now
		r.decide(ctx, &messages.SearchOn{Why: messages.SearchOn_WHY_NEARER, AtUnixUs: r.nowUs()})
	}
}

// askOthers looks for somebody who does better than the upstream.
func (r *relay) askOthers(ctx actor.Context, why messages.SearchOn_Why) {
	r.watch.asked = time.Now()
	r.decide(ctx, &messages.SearchOn{Why: why, AtUnixUs: r.nowUs()})
}

// opening is an ancestor that answered while another feeds. It takes over with its first item,
// and not before: to be fed by one that has no music yet would be no gain. One that was asked
// because the music comes late takes over when it has shown that it is ahead: what it says of
// itself proves nothing, and its line may be as slow.
type opening struct {
	link   uint64
	answer *messages.StreamOpened
	sent   int64 // its newest word, by the server's clock; 0: that is too long ago
	newest uint64
	late   bool
	since  time.Time
	kept   []kept // what came that may be needed: at most keptMost
}

// kept is a seal or an item.
type kept struct {
	seal *messages.Seal
	item *messages.Item
}

// keptMost bounds what is kept of a link: a seal and a song change, and some items.
const keptMost = 4 * ahead

func (r *relay) opened(ctx actor.Context, msg *messages.UpstreamOpened) {
	state := r.keep.State()
	link, seeking := state.seeking(msg.Link)
	if !seeking {
		return
	}
	// Only the server itself can be of an older broadcast. A node above may not have
	// heard of the server's restart yet; its music is as good as ever.
	if epoch := msg.Answer.GetEpoch(); link.Node.ID == messages.ServerID && epoch < r.epoch {
		r.closed(ctx, &messages.LinkClosed{Link: msg.Link, Reason: fmt.Sprintf(
			"it is still in epoch %d of the broadcast, now is %d", epoch, r.epoch)})
		return
	}
	o := &opening{
		link: msg.Link, answer: msg.Answer, sent: msg.Answer.GetAtUnixUs(), newest: msg.Answer.GetNewest(),
		late: link.late(), since: time.Now(),
	}
	switch {
	case state.Upstream != nil && o.late && msg.Answer.GetFirst() <= r.flow.next:
		r.waiting[msg.Link] = o
	case state.Upstream == nil || msg.Answer.GetFirst() > 0:
		r.connect(ctx, o, msg.Answer.GetFirst())
	case state.prefers(link.Node):
		o.sent = 0
		r.waiting[msg.Link] = o
	default: // it was asked because the upstream has none
		r.closed(ctx, &messages.LinkClosed{Link: msg.Link, Ending: messages.Ending_ENDING_EMPTY, Reason: "it has no music either"})
	}
}

// connect makes the link the one that feeds, if first leaves no hole.
func (r *relay) connect(ctx actor.Context, o *opening, first uint64) {
	now := time.Now()
	before, hungry, late := r.keep.State().Upstream, r.arrival.hungry(now), r.arrival.late()
	whole := first > 0 && first <= r.flow.next // others had meanwhile all that was missed here
	delete(r.waiting, o.link)
	r.decide(ctx, &messages.LinkOpened{
		Link: o.link, Asked: r.flow.next, First: first, Newest: o.newest, Epoch: o.answer.GetEpoch(),
		AtUnixUs: r.nowUs(), BufferedUs: r.buffered(), StarvedUs: r.arrival.starved(now).Microseconds(),
	})
	if !r.feeds(o.link) {
		return
	}
	r.watch.epoch = o.answer.GetEpoch()
	r.arrival.stamped(o.sent, r.nowUs())
	switch {
	case before == nil || !whole:
	case hungry:
		r.accuse(before.Node, messages.Fault_FAULT_STARVING, "it sends no music, others do")
	case late && now.Sub(r.watch.blamed) >= blameless:
		r.watch.blamed = now
		r.accuse(before.Node, messages.Fault_FAULT_SLOW, "its music comes late, others have it in time")
	}
	for _, k := range o.kept {
		switch {
		case !r.feeds(o.link): // it was no good
		case k.seal != nil:
			r.seal(ctx, &messages.UpstreamSeal{Link: o.link, Seal: k.seal})
		default:
			r.pass(ctx, o.link, k.item)
		}
	}
}

// waited takes an item of a link that is to take over.
func (r *relay) waited(ctx actor.Context, o *opening, item *messages.Item, sent int64) {
	if sent > 0 || !o.late {
		o.sent = sent
	}
	old := item.Number < r.flow.next
	if old && item.Change == nil {
		return // it has come another way
	}
	if o.kept = append(o.kept, kept{item: item}); len(o.kept) > keptMost {
		r.closed(ctx, &messages.LinkClosed{Link: o.link, Ending: messages.Ending_ENDING_EMPTY, Reason: "it sends what nobody can use yet"})
		return
	}
	switch {
	case old:
	case !o.late:
		r.connect(ctx, o, item.Number)
	case item.Number >= r.flow.next+ahead:
		o.newest = item.Number
		r.connect(ctx, o, r.flow.next)
	}
}

// keepSeal keeps a seal BEFORE the items that it covers; one that covers nothing is forgotten.
func (o *opening) keepSeal(s *messages.Seal) {
	if n := len(o.kept); n > 0 && o.kept[n-1].seal != nil {
		o.kept = o.kept[:n-1]
	}
	o.kept = append(o.kept, kept{seal: s})
}

// endTrials gives up those who have not shown in time that they are ahead.
func (r *relay) endTrials(ctx actor.Context, now time.Time) {
	for _, number := range slices.Sorted(maps.Keys(r.waiting)) {
		if o := r.waiting[number]; o != nil && o.late && now.Sub(o.since) > trial {
			r.closed(ctx, &messages.LinkClosed{Link: number, Ending: messages.Ending_ENDING_EMPTY, Reason: "it does not have the music earlier"})
		}
	}
}

// fallBack turns to one that has answered already, when the upstream is lost.
func (r *relay) fallBack(ctx actor.Context) {
	for len(r.waiting) > 0 && r.keep.State().Upstream == nil {
		r.connect(ctx, r.waiting[slices.Min(slices.Collect(maps.Keys(r.waiting)))], 0)
	}
}

// buffered is what the node still has to play, in microseconds.
func (r *relay) buffered() int64 {
	last := r.cfg.Window.Last()
	if last == nil {
		return 0
	}
	return last.PlayAt() - r.nowUs()
}
