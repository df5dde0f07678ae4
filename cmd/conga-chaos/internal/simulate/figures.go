package simulate

import (
	"slices"
	"time"

	"conga/cmd/conga-chaos/internal/schedule"
	"conga/messages"
)

// counts are what is counted while the run is measured.
type counts struct {
	Came, Goodbyes, Killed, Vanished         int
	Splices, Moves, Reports, Audits, Refused int
	Told, Branches, LetGo                    int
	Lines                                    int64 // from the server
	Twice, Anew                              int
	Heard, Lost, Late                        int64 // items
	Underruns                                int
	ToServer, FromServer                     int64 // bytes of lines
}

// Figures are the results of a run.
type Figures struct {
	Plan      Plan    `json:"plan"`
	Listeners float64 `json:"listeners"` // in the mean

	Came     int `json:"came"`
	Goodbyes int `json:"goodbyes"`
	Killed   int `json:"killed"`
	Vanished int `json:"vanished"`

	// Margins are how long before its play-out time an item came, in milliseconds; negative: too late.
	MarginP50   float64 `json:"marginP50Ms"`
	MarginP1    float64 `json:"marginP1Ms"`
	MarginLeast float64 `json:"marginLeastMs"`

	Heard     int64 `json:"heard"` // items that came in time
	Late      int64 `json:"late"`  // items that came after they were to be heard
	Lost      int64 `json:"lost"`
	Twice     int   `json:"twice"`
	Anew      int   `json:"anew"` // listeners that took the broadcast for another; always 0
	Underruns int   `json:"underruns"`
	// SilencePart is how long there was nothing to play, of all the time that was listened to.
	SilencePart float64 `json:"silencePart"`
	// WholePart is the part of the listeners that had no underrun.
	WholePart float64 `json:"wholePart"`

	Splices  int `json:"splices"` // by the server
	Moves    int `json:"moves"`
	Branches int `json:"branches"` // that were moved
	Reports  int `json:"reports"`  // accusations that came to the server
	Audits   int `json:"audits"`   // that the server would have made
	Refused  int `json:"refused"`  // HIs to nodes that did not expect them
	LetGo    int `json:"letGo"`    // by the server, because its uplink was full

	Searches  int     `json:"searches"` // that found another upstream
	SearchP50 float64 `json:"searchP50Ms"`
	SearchP99 float64 `json:"searchP99Ms"`
	SearchMax float64 `json:"searchMaxMs"`
	// Searched are the searches' times by what had happened to the upstream, if the plan has acts; sorted.
	Searched map[schedule.Kind][]time.Duration `json:"searched,omitempty"`

	DepthP50 int `json:"depthP50"`
	DepthMax int `json:"depthMax"`

	ServerStreams    float64 `json:"serverStreams"` // in the mean
	ServerStreamsMax int     `json:"serverStreamsMax"`
	ServerUpload     float64 `json:"serverUploadKbits"` // music and what goes with it
	ServerControl    float64 `json:"serverControlKbits"`
	ServerSays       float64 `json:"serverSaysKbits"`           // control that the server sends, with the headers of TCP and IP
	NodeControl      float64 `json:"nodeControlBytesPerSecond"` // lines to and from the server

	Deaf int `json:"deaf"` // listeners that had got nothing for five seconds in the end
}

// tallies are what is measured besides.
type tallies struct {
	margins  histogram
	searches []int64
	depths   [maxDepth]int64
	depthMax int
	streams  []int
	present  []int
	whole    int
	torn     int
	listened int64 // microseconds
	quiet    int64
	began    int64
	sent     int64 // the server's bytes when the measurement began
	searched map[schedule.Kind][]time.Duration
}

const maxDepth = 1 << 17

// histogram counts milliseconds from -floor to ceiling.
type histogram struct {
	bins  [floor + ceiling]int64
	n     int64
	least int64 // microseconds
}

const floor, ceiling = 20_000, 7_000

func (h *histogram) add(us int64) {
	ms := (us + floor*1000) / 1000
	h.bins[min(max(ms, 0), floor+ceiling-1)]++
	if h.n == 0 || us < h.least {
		h.least = us
	}
	h.n++
}

// percentile is by nearest rank, in milliseconds.
func (h *histogram) percentile(p float64) float64 {
	rank, sum := int64(p/100*float64(h.n)), int64(0)
	for ms, n := range h.bins {
		if sum += n; sum > rank {
			return float64(ms - floor)
		}
	}
	return 0
}

// books are what a listener's player writes down.
type books struct {
	came  int64
	since int64  // items that were due earlier do not count; 0 before the first
	next  uint64 // the number after the last
	plays int64  // when that is to be heard, since the beginning
	got   int64  // when the last came
	depth int
	dry   bool
	torn  bool  // there was an underrun while it was measured
	quiet int64 // microseconds without music
	from  int64 // when its measurement began
}

func (b *books) begin(now int64) { b.came, b.from = now, now }

// heard writes down an item that came. What a newcomer gets at once does not count.
func (w *world) heard(l *listener, item *messages.Item) {
	at := item.PlayAt() - startsAt
	b := &l.books
	b.got = w.now
	first := b.next == 0
	missed := item.Number - b.next
	b.next = item.Number + 1
	if first {
		b.since, b.plays = w.now, at
	}
	due := item.Due() - startsAt
	if due >= b.since && w.measuring {
		left, quiet := at-w.now, int64(0)
		w.margins.add(left)
		lost := !first && missed > 0
		if lost {
			w.count.Lost += int64(missed)
			quiet = at - b.plays
		}
		if left >= 0 {
			w.count.Heard++
		} else {
			w.count.Late++
			quiet += min(-left, chunkLasts)
		}
		if lost || left < 0 {
			w.dries(b, quiet)
		} else {
			b.dry = false
		}
	}
	b.plays = at
	if item.Change == nil {
		b.plays += chunkLasts
	}
}

// chunkLasts is how long a chunk is.
var chunkLasts = messages.FrameOffset(int64(messages.FramesPerChunk(sampleRate)), sampleRate).Microseconds()

// dries writes down that there was nothing to play for so long.
func (w *world) dries(b *books, quiet int64) {
	b.quiet += quiet
	if !b.dry {
		w.count.Underruns++
	}
	b.dry, b.torn = true, true
}

// closeBooks ends the books of a listener that goes.
func (w *world) closeBooks(l *listener) {
	b := &l.books
	if !w.measuring {
		return
	}
	if b.next > 0 {
		if missing := w.now - b.plays; missing > 0 && w.now-b.got > messages.Slack.Microseconds() { // it starved in the end
			w.dries(b, missing)
		}
		w.listened += w.now - max(b.from, b.since)
		w.quiet += b.quiet
		if b.torn {
			w.torn++
		} else {
			w.whole++
		}
	}
}

// measures begins the measurement.
func (w *world) measures() {
	w.measuring, w.began, w.count, w.sent = true, w.now, counts{}, w.server.sent
	w.tallies.searches = nil
	for _, l := range w.living {
		l.books.from, l.books.torn, l.books.quiet, l.books.dry = w.now, false, 0, false
	}
	w.samples()
}

// sampleEvery is how often the world is looked at.
const sampleEvery = int64(time.Second / time.Microsecond)

func (w *world) samples() {
	w.streams = append(w.streams, len(w.server.down))
	w.present = append(w.present, len(w.living))
	for _, l := range w.living {
		if l.books.next > 0 {
			w.depths[min(l.depth, maxDepth-1)]++
			w.depthMax = max(w.depthMax, l.depth)
		}
	}
	w.after(sampleEvery, w.samples)
}

// repaired writes down how a listener found another upstream.
func (w *world) repaired(r *messages.Reconnected) {
	if w.measuring {
		w.tallies.searches = append(w.tallies.searches, r.GetSearchUs())
	}
	if lost := w.parties[r.GetLost().GetId()]; lost != nil && lost.self != nil && lost.self.hit != "" {
		w.searched[lost.self.hit] = append(w.searched[lost.self.hit], time.Duration(r.GetSearchUs())*time.Microsecond)
	}
}

func (w *world) tellsTime(progress func(at time.Duration, listeners int)) {
	progress(time.Duration(w.now)*time.Microsecond, len(w.living))
	w.after(10*sampleEvery, func() { w.tellsTime(progress) })
}

func (w *world) figures() Figures {
	deaf := 0
	for _, l := range w.living {
		if w.now-l.books.got > 5_000_000 && w.now-l.came > 10_000_000 {
			deaf++
		}
	}
	for _, l := range w.living {
		w.closeBooks(l)
	}
	c, lasted := w.count, float64(w.now-w.began)/1e6
	control := float64(c.ToServer+c.FromServer) / lasted
	f := Figures{
		Plan: w.plan, Listeners: mean(w.present), Came: c.Came, Goodbyes: c.Goodbyes, Killed: c.Killed, Vanished: c.Vanished,
		MarginP50: w.margins.percentile(50), MarginP1: w.margins.percentile(1), MarginLeast: float64(w.margins.least) / 1000,
		Heard: c.Heard, Late: c.Late, Lost: c.Lost, Twice: c.Twice, Anew: c.Anew, Underruns: c.Underruns,
		SilencePart: float64(w.quiet) / float64(max(1, w.listened)), WholePart: float64(w.whole) / float64(max(1, w.whole+w.torn)),
		Splices: c.Splices, Moves: c.Moves, Branches: c.Branches, Reports: c.Reports, Audits: c.Audits, Refused: c.Refused, LetGo: c.LetGo,
		ServerStreams: mean(w.streams), ServerStreamsMax: slices.Max(append(w.streams, 0)),
		ServerUpload:  float64(w.server.sent-w.sent) * 8 / 1000 / lasted,
		ServerControl: control * 8 / 1000, Deaf: deaf,
	}
	f.ServerSays = float64(c.FromServer+c.Lines*headers) * 8 / 1000 / lasted
	f.NodeControl = control / max(1, f.Listeners)
	slices.Sort(w.tallies.searches)
	f.Searches = len(w.tallies.searches)
	f.SearchP50, f.SearchP99, f.SearchMax = rank(w.tallies.searches, 50), rank(w.tallies.searches, 99), rank(w.tallies.searches, 100)
	for _, took := range w.searched {
		slices.Sort(took)
	}
	f.Searched = w.searched
	f.DepthP50, f.DepthMax = w.middleDepth(), w.depthMax
	return f
}

func mean(all []int) float64 {
	sum := 0
	for _, n := range all {
		sum += n
	}
	return float64(sum) / float64(max(1, len(all)))
}

// rank returns the percentile of sorted microseconds by nearest rank, in milliseconds.
func rank(sorted []int64, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[(len(sorted)*p+99)/100-1]) / 1000
}

func (w *world) middleDepth() int {
	all, sum := int64(0), int64(0)
	for _, n := range w.depths {
		all += n
	}
	for depth, n := range w.depths {
		if sum += n; 2*sum >= all && n > 0 {
			return depth
		}
	}
	return 0
}
