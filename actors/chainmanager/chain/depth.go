package chain

import (
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// Each hop takes some of the slack. If at an end of the chain less is left of it than the repair of a silent death takes
// (messages.MarginNeeded), the part that ends there is cut where it helps most, and its lower half hangs on the free place
// nearest the server: a listener's that offers to feed more, else the server's, if the host allows another chain. Only the
// first of that half turns to another upstream. When the server feeds more chains than its host wants usually, the shortest
// is joined to an end again as soon as that would use up only two thirds of what the bound leaves. A cut halves what is used, so
// between the two nothing swings.
const (
	// lowFor and ampleFor are how long all looks must say the same. A change of the slack or a busy machine is over before that.
	lowFor, ampleFor = 20 * time.Second, 5 * time.Minute
	// restFor is the time between two such moves: by then the listeners have told what the first did.
	restFor = 60 * second
	// voicesOfEnd is how many members at an end are asked. The music takes at least as long to the last as to those above it,
	// so the shortest time counts: neither a lie nor one slow line makes a chain look deep.
	voicesOfEnd = 3
)

// Watch sees for how long the ends of the chain have had too little time, or enough. It belongs to one goroutine. The zero
// value has seen nothing.
type Watch struct {
	low   bool
	since time.Time
}

// Look returns the command that follows from what the listeners say now; nil if none does. takes returns how much later than
// it was sent the music reaches a listener, by its word; false: it has said nothing lately.
func (w *Watch) Look(s State, slack time.Duration, takes func(id string) (time.Duration, bool), now time.Time) *messages.WeighDepth {
	if !s.branching() && s.ChainsAtMost <= 1 {
		*w = Watch{}
		return nil
	}
	end, longest := s.Chain.slowest(takes)
	if end == nil {
		*w = Watch{}
		return nil
	}
	low := slack-longest < messages.MarginNeeded(slack)
	if low != w.low || w.since.IsZero() {
		*w = Watch{low, now}
	}
	if past := now.Sub(w.since); low && past < lowFor || !low && past < ampleFor {
		return nil
	}
	return &messages.WeighDepth{
		Id: end.ID, TakesUs: longest.Microseconds(), SlackUs: slack.Microseconds(), AtUnixUs: now.UnixMicro(),
	}
}

// slowest returns the end that the music reaches last, and how long it takes; nil if too few members there have said so.
func (l Line) slowest(takes func(id string) (time.Duration, bool)) (end *seat, longest time.Duration) {
	for p := range l.parts() {
		last := p.last(l.feeders)
		if last == nil || l.feeding(last) > 0 {
			continue
		}
		if took, known := l.reaches(last, takes); known && took > longest {
			end, longest = last, took
		}
	}
	return end, longest
}

// reaches returns how long the music takes to the end.
func (l Line) reaches(end *seat, takes func(id string) (time.Duration, bool)) (shortest time.Duration, known bool) {
	voices := 0
	for f, n := end, 0; f != nil && n < voicesOfEnd; f, n = l.feeder(f), n+1 {
		if took, said := takes(f.ID); said {
			if voices++; voices == 1 || took < shortest {
				shortest = took
			}
		}
	}
	return shortest, voices >= 2
}

// weigh decides whether the chain is too deep, or has a branch too many.
func (s State) weigh(cmd *messages.WeighDepth) []proto.Message {
	end, at := s.Chain.seat(cmd.GetId()), cmd.GetAtUnixUs()
	if end == nil || !end.feeds() || s.WeighedAt > 0 && at-s.WeighedAt < restFor {
		return nil
	}
	slack, takes := time.Duration(cmd.GetSlackUs())*time.Microsecond, time.Duration(cmd.GetTakesUs())*time.Microsecond
	var move *messages.BranchMoved
	if room := slack - messages.MarginNeeded(slack); takes > room {
		move = s.deepest(end, at)
	} else {
		move = s.spare(end, takes, room*2/3, at)
	}
	if move == nil {
		return nil
	}
	move.AtUnixUs, move.End, move.MarginUs = at, end.ID, (slack - takes).Microseconds()
	return s.spliced(move)
}

// worthIt reports whether a cut takes at least a quarter of the end's depth.
func worthIt(depth, after int) bool { return 4*after <= 3*depth }

// deepest returns the move that makes the way to the end shorter; nil if none is worth it.
func (s State) deepest(end *seat, at int64) *messages.BranchMoved {
	depth := s.Chain.depth(end)
	for _, chains := range []int{s.Chains, max(s.Chains, s.ChainsAtMost)} { // first the places that there are anyway
		first, to, after := s.Chain.halved(end, chains, at)
		if first != nil && worthIt(depth, after) {
			return &messages.BranchMoved{Id: first.ID, Name: first.Name, From: to.on.id(), Cause: messages.BranchMoved_CAUSE_DEEP}
		}
	}
	return nil
}

// halved returns where the way to the end is cut best: the first that goes elsewhere, the place to which it goes, and how
// deep the deeper of both halves is then. first is nil if there is no place.
func (l Line) halved(end *seat, chains int, at int64) (first *seat, to place, after int) {
	var way []*seat
	var heights []int
	for f := end; f != nil; f = l.feeder(f) {
		way = append(way, f)
		heights = append(heights, l.height(f))
	}
	for p := range l.free(chains) { // those nearest the server first
		if p.on != nil && (p.on.Absent || p.on.doubted(at)) {
			continue
		}
		for i, f := range way { // the last is the one nearest the server
			deep := max(len(way)-i-1, p.depth+heights[i])
			if first != nil && deep >= after || p.on != nil && (p.on == f || !reaches(p.on.Member, f.Member) || l.stands(f, p.on)) {
				continue
			}
			first, to, after = f, p, deep
		}
		if first != nil {
			return first, to, after // places farther away are not better
		}
	}
	return nil, place{}, 0
}

// spare returns the move that joins a chain that the server feeds, but need not, to the end of another; nil if there is
// none, or it would make the chain too deep again.
func (s State) spare(end *seat, takes, room time.Duration, at int64) *messages.BranchMoved {
	l := s.Chain
	if l.feeding(nil) <= max(1, s.Chains) {
		return nil
	}
	var best *seat
	var to place
	deep := 0
	for p := range l.fed(nil) {
		head, _ := l.all.Find(p.low)
		found, is := l.shallowest(0, func(to place) bool {
			return to.on != nil && !to.on.Absent && !to.on.doubted(at) && reaches(to.on.Member, head.Member) && !l.below(to.on, head)
		})
		if height := l.height(head); is && (best == nil || found.depth+height < deep) {
			best, to, deep = head, found, found.depth+height
		}
	}
	if best == nil || takes*time.Duration(deep) > room*time.Duration(l.depth(end)) {
		return nil
	}
	return &messages.BranchMoved{Id: best.ID, Name: best.Name, From: to.on.ID, Cause: messages.BranchMoved_CAUSE_SPARE}
}

// serverFeeds is how many chains the server may go on to feed: what its host wants, or what was opened in need.
func (s State) serverFeeds() int {
	if s.ChainsAtMost <= max(1, s.Chains) || s.Chain.heads.Len() == 0 {
		return max(1, s.Chains)
	}
	return max(1, s.Chains, min(s.ChainsAtMost, s.Chain.feeding(nil)))
}
