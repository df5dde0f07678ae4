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
	lastRetry    = 2 * time.Second
	// starving is how long a living upstream may send no music before others are asked
	// for it, once and then less and less often: a relay can be broken and sound alive. It is
	// longer than a silent node further up is waited for by those whom it feeds.
	starving = messages.SilenceIsDeath + 250*time.Millisecond
	// tooLate is how much longer than at its best a link may take for what is sent; more
	// would soon use up the slack of all who are fed by it.
	tooLate = 400 * time.Millisecond
	// atBest bounds the best time over a link that is believed, the clocks' error included: one
	// that is slow from its first word on is not to pass for a good one.
	atBest = 200 * time.Millisecond
	// stopped is how long no music comes when it does not just come slowly.
	stopped = 350 * time.Millisecond
	// lateGlances is how often in a row it must be so: a lost packet delays one word.
	lateGlances = 3
	// blameless is how long nobody is blamed for a slow link after somebody was: if the next
	// one is as slow, the cause is this node's own line.
	blameless = 10 * time.Second
	// climb is how long a node is fed by another than its first choice before it tries
	// that again; each time in vain doubles the wait.
	climb = 5 * time.Second
	// doublings bounds both.
	doublings = 5
	// glance is how often the relay looks whether one of them is due.
	glance = 250 * time.Millisecond
)

// looked is the message of the relay's steady timer.
type looked struct{ round uint64 }

// watch knows since when things are as they are. It belongs to the relay's goroutine.
type watch struct {
	search    *time.Timer // SearchOn
	searching bool        // its message has not come yet
	steady    *time.Timer // looked
	round     uint64      // of steady

	epoch           uint64    // of the upstream, as it said itself
	heard           time.Time // an item, or the upstream's answer
	asked, reviewed time.Time // others for music; the first choice whether it is well
	hungers, climbs int       // how often since

	sent   int64         // the upstream's newest word, by the server's clock; 0: it does not say
	took   time.Duration // until that was here, by two nodes' notions of that clock
	fast   time.Duration // the least that a word took, or atBest
	lates  int           // glances in a row at which it was too late
	blamed time.Time     // when a node was blamed for that
}

// stamped notes when the upstream sent what arrives at now; both in microseconds.
func (w *watch) stamped(sent, now int64) {
	took := time.Duration(now-sent) * time.Microsecond
	if sent == 0 || took.Abs() > implausible {
		return
	}
	w.sent, w.took, w.fast = sent, took, max(min(took, w.fast), -atBest)
}

// implausible is how far two notions of the server's clock cannot be apart.
const implausible = time.Minute

// glanced notes at now whether the link is too slow at this moment. While nothing comes
// nobody knows: most likely the music stopped further up.
func (w *watch) glanced(now int64) {
	due := time.Duration(now-w.sent)*time.Microsecond - messages.StampEvery // the next word
	switch {
	case w.sent == 0 || max(w.took, due)-w.fast <= tooLate:
		w.lates = 0
	case time.Since(w.heard) < stopped:
		w.lates++
	}
}

// slow says whether others are to be asked, since the link falls behind.
func (w *watch) slow() bool {
	return w.lates >= lateGlances && time.Since(w.blamed) >= blameless
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
	w.heard, w.reviewed = time.Now(), time.Now()
	w.hungers = 0
	w.sent, w.fast, w.lates = 0, atBest, 0
}

// music notes that an item came.
func (w *watch) music() {
	w.heard = time.Now()
	w.hungers = 0
}

// hungry says whether the upstream feeds no more than air.
func (w *watch) hungry() bool { return time.Since(w.heard) >= starving }

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

// look asks others for the music if the upstream has none, and the first choice
// whether it is well again if another feeds. The upstream is kept until one does better.
func (r *relay) look(ctx actor.Context, msg looked) {
	if msg.round != r.watch.round {
		return
	}
	r.lookAgain(ctx)
	state, w := r.keep.State(), &r.watch
	w.glanced(r.nowUs())
	if state.Upstream == nil || len(state.Seeking) > 0 {
		return
	}
	on := &messages.SearchOn{Link: state.Links, AtUnixUs: r.nowUs()}
	switch {
	case w.hungry():
		if w.hungers == 0 || time.Since(w.asked) >= starving<<min(w.hungers, doublings) {
			w.hungers++
			w.asked = time.Now()
			on.Starving = true
			r.decide(ctx, on)
		}
	case w.slow():
		if time.Since(w.asked) >= starving {
			w.asked = time.Now()
			on.Starving = true
			r.decide(ctx, on)
		}
	case time.Since(w.reviewed) >= climb<<min(w.climbs, doublings) && time.Since(w.blamed) >= blameless: // else a slow one could not be left again
		w.climbs++
		w.reviewed = time.Now()
		on.Nearer = true
		r.decide(ctx, on)
	}
}

// opening is an ancestor that answered while another feeds: it takes over with its
// first item, and not before. To be fed by one that has no music yet would be no gain.
type opening struct {
	link   uint64
	answer *messages.StreamOpened
	sent   int64 // its newest word, by the server's clock; 0: that is too long ago
	seal   *messages.Seal
	song   *messages.Item
}

func (r *relay) opened(ctx actor.Context, msg *messages.UpstreamOpened) {
	state := r.keep.State()
	link, seeking := state.seeking(msg.Link)
	if !seeking {
		return
	}
	// Only the server itself can be of an older broadcast. A node above may not have
	// heard of the server's restart yet; its music is as good as ever.
	epoch := msg.Answer.GetEpoch()
	if link.Node.ID == messages.ServerID && epoch < r.epoch {
		r.closed(ctx, &messages.LinkClosed{Link: msg.Link, Reason: fmt.Sprintf(
			"it is still in epoch %d of the broadcast, now is %d", epoch, r.epoch)})
		return
	}
	o := &opening{link: msg.Link, answer: msg.Answer, sent: msg.Answer.GetAtUnixUs()}
	switch {
	case state.Upstream == nil || msg.Answer.GetFirst() > 0:
		r.connect(ctx, o, msg.Answer.GetFirst())
	case state.prefers(link.Node):
		o.sent = 0
		r.waiting[msg.Link] = o
	default: // it was asked because the upstream has none
		r.closed(ctx, &messages.LinkClosed{Link: msg.Link, Hole: true, Reason: "it has no music either"})
	}
}

// connect makes the link the one that feeds, if first leaves no hole.
func (r *relay) connect(ctx actor.Context, o *opening, first uint64) {
	before, hungry, slow := r.keep.State().Upstream, r.watch.hungry(), r.watch.slow()
	delete(r.waiting, o.link)
	r.decide(ctx, &messages.LinkOpened{
		Link: o.link, Asked: r.flow.next, First: first, Epoch: o.answer.GetEpoch(),
		AtUnixUs: r.nowUs(), BufferedUs: r.buffered(),
	})
	if !r.feeds(o.link) {
		return
	}
	r.watch.epoch = o.answer.GetEpoch()
	r.epoch = max(r.epoch, r.watch.epoch)
	r.watch.stamped(o.sent, r.nowUs())
	switch {
	case before == nil:
	case hungry:
		r.accuse(before.Node.message(), messages.Fault_FAULT_STARVING, "it sends no music, others do")
	case slow:
		r.watch.blamed = time.Now()
		r.accuse(before.Node.message(), messages.Fault_FAULT_SLOW, "its music comes ever later after it was sent, others have it in time")
	}
	if o.seal != nil {
		r.seal(ctx, &messages.UpstreamSeal{Link: o.link, Seal: o.seal})
	}
	if o.song != nil && r.feeds(o.link) {
		r.pass(ctx, o.link, o.song)
	}
}

// waited takes an item of a link that is to take over with its first chunk.
func (r *relay) waited(ctx actor.Context, o *opening, item *messages.Item, sent int64) {
	o.sent = sent
	if item.Change != nil && item.Number < r.flow.next {
		o.song = item
		return
	}
	r.connect(ctx, o, item.Number)
	if r.feeds(o.link) {
		r.pass(ctx, o.link, item)
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
