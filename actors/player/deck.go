package player

import (
	"math"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

const (
	// aheadUs is how much the decoder keeps ready in the deck.
	aheadUs = 500_000
	// toleranceUs is how far a chunk may be from the end of the previous one and still follow
	// without a gap: play-out times and a song's length are rounded.
	toleranceUs = 1000
	// patienceUs is how long a newcomer waits for messages.JoinReserve.
	patienceUs = 2_000_000
	// sayAfterUs is how long a silence lasts before it is reported while it goes on.
	sayAfterUs = 5_000_000
)

// deck holds the decoded chunks and plays them when they are due. It is the output's Feed. Its
// methods may be called by any goroutine; none blocks for longer than it takes to compute 10 ms of
// sound.
type deck struct {
	now    func() int64                        // µs on the server's clock
	local  func() int64                        // µs on this machine's, which never steps
	report func(proto.Message)                 // must not block
	cause  func(due int64, seen string) string // of an underrun at that time; seen is what the deck has seen, or empty
	space  chan struct{}                       // has room for one; tells the decoder that there may be room

	mu         sync.Mutex
	queue      []*chunk
	latency    int64 // µs from the output to the ear, for this output and device, its offset included
	timing     timing
	clockError func() time.Duration // of the server's clock; nil: none
	owedUs     int64                // the offset was changed by so much, and the sound is not moved yet
	line       line                 // on this machine's clock
	ahead      int64                // µs, the server's clock minus this machine's, at the last Fill
	steer      steering
	in         resampler
	edge       moment // when the next frame that is appended to in is due
	running    bool   // in and edge are set; false before the first chunk
	waitsFrom  int64  // local µs since which there is music, but too little to begin; 0: it does not wait
	aligned    bool   // in ends exactly where the last chunk did
	lead       bool   // since the last restart there was only silence
	filled     int64  // frames of this output
	filledAt   int64  // server's clock at the last Fill
	writing    int64  // the frame of this output that is being filled
	silence    episode
	marks      []mark // beginnings of chunks that are filled and not yet heard
	heard      mark   // the chunk that is heard now
	played     uint64 // chunks of its song so far
	volume     volume
	keeps      bool // the output is a recording
	loud       loudness
	turned     func(*messages.SongChange) // takes each song when it is heard first; must not block; may be nil
	sounded    bool                       // the output has played
	mutedAt    time.Time
	muted      time.Duration // without sound, before the last time
	Live
}

// mark is where a chunk begins in what the output was given.
type mark struct {
	frame int64
	item  *messages.Item
}

// episode is a silence because there was no music.
type episode struct {
	on, said  bool
	at        int64 // µs, when music was first due
	missingUs int64
	cause     string
}

func newDeck(now func() int64, report func(proto.Message), cause func(int64, string) string) *deck {
	birth := time.Now()
	local := func() int64 { return time.Since(birth).Microseconds() }
	return &deck{now: now, local: local, report: report, cause: cause, space: make(chan struct{}, 1)}
}

// connect makes the deck ready for another output, whose device has an offset; an output that is not heard has none.
func (d *deck) connect(name string, latency time.Duration, settles bool, device string, offset time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Output, d.Device = name, device
	d.OffsetUs, d.latency, d.owedUs = offset.Microseconds(), (latency + offset).Microseconds(), 0
	d.line, d.steer = line{}, steering{}
	if settles {
		d.line.starts = startUs
	}
	d.running, d.waitsFrom, d.filled, d.filledAt, d.marks = false, 0, 0, 0, nil
	d.loud = loudness{}
}

// push adds a chunk behind the others.
func (d *deck) push(c *chunk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = append(d.queue, c)
}

// hungry reports whether the decoder should decode on.
func (d *deck) hungry() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	var ahead int64
	for _, c := range d.queue {
		ahead += int64(c.left()) * 1_000_000 / int64(c.rate)
	}
	return ahead < aheadUs
}

// fill is Feed's Fill.
func (d *deck) fill(p []byte, waiting int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, local := d.now(), d.local()
	d.ahead = now - local
	d.line.observe(local, d.filled-int64(waiting))
	out := d.filled
	if d.running {
		d.hold(d.hears(out), now, local)
		d.keepWatch(now)
	}
	d.filledAt = now
	for n := 0; n < len(p)/bytesPerFrame; {
		d.writing = out + int64(n)
		if !d.running && (!d.line.settled(local) || !d.begin(d.hears(d.writing))) {
			clear(p[n*bytesPerFrame:])
			break
		}
		n += d.play(p[n*bytesPerFrame:])
	}
	d.volume.apply(p)
	d.loud.add(p, out)
	d.filled += int64(len(p) / bytesPerFrame)
	d.listen(now)
	select {
	case d.space <- struct{}{}:
	default:
	}
}

// hears is when a frame of this output is heard, in µs on the server's clock.
func (d *deck) hears(frame int64) int64 { return d.line.leaves(frame) + d.ahead + d.latency }

// due returns when the frame at the resampler's centre should be heard, in µs.
func (d *deck) due() float64 {
	behind := float64(d.in.frames()) - d.in.pos
	if d.in.end >= 0 {
		behind = float64(d.in.end) - d.in.pos
	}
	return float64(d.edge.us()) - behind*1e6/float64(d.in.rate)
}

// hold keeps the deck in time: heard is when its next frame will be heard.
func (d *deck) hold(heard, now, local int64) {
	if d.lead { // there is only silence so far: the line can settle before the music begins
		d.restart(d.in.rate, heard)
		return
	}
	late := float64(heard) - d.due()
	if late > jumpUs || late < -jumpUs {
		if late > 0 && d.owedUs == 0 && d.heard.item != nil && !d.silence.on {
			d.starve(int64(late), "the device stood still") // until there is music, which may be missing, too
		}
		d.Jumps++
		cause := messages.PlayerStepped_CAUSE_UNSPECIFIED
		if d.owedUs != 0 {
			cause = messages.PlayerStepped_CAUSE_OFFSET
		}
		d.moved(late, cause, true, now, local)
		d.steer.corrected()
		d.restart(d.in.rate, heard)
		return
	}
	if d.owedUs != 0 {
		if !d.pay(now, local) {
			return
		}
		late = float64(heard) - d.due()
	}
	d.steer.steer(late, min(1, float64(now-d.filledAt)/1e6))
	if us := d.steer.step(); us != 0 && d.step(us) {
		d.Steps++
		d.moved(us, messages.PlayerStepped_CAUSE_UNSPECIFIED, false, now, local)
		d.steer.corrected()
	}
}

// step moves the sound by this many µs, if all that music is here.
func (d *deck) step(us float64) bool {
	frames, ready := int(math.Round(us*float64(d.in.rate)/1e6)), 0
	for _, c := range d.queue {
		if c.rate != d.in.rate {
			break
		}
		ready += c.left()
	}
	if !d.aligned || ready < frames+2*fadeFrames {
		return false
	}
	return d.in.step(frames)
}

// restart plays from `heard` on with nothing before it.
func (d *deck) restart(rate int, heard int64) {
	d.in.restart(rate, 0)
	d.edge = moment{heard, 0, int64(rate)}
	d.running, d.aligned, d.lead = true, false, true
	d.steer.ageS = 0
	d.owedUs = 0
}

// begin starts the deck with the first chunk that is not over when it would be heard, if there is music enough to go on.
func (d *deck) begin(heard int64) bool {
	for len(d.queue) > 0 && d.queue[0].over() <= heard {
		d.queue = d.queue[1:]
	}
	if len(d.queue) == 0 || !d.mayBegin(d.queue[len(d.queue)-1].over()-heard) {
		return false
	}
	d.restart(d.queue[0].rate, heard)
	return true
}

// mayBegin says whether so many µs of music in hand are enough to begin. After patienceUs the line is as fast as it will be.
func (d *deck) mayBegin(inHand int64) bool {
	if inHand >= messages.JoinReserve.Microseconds() {
		d.waitsFrom = 0
		return true
	}
	local := d.local()
	if d.waitsFrom == 0 {
		d.waitsFrom = max(1, local)
	}
	return local-d.waitsFrom >= patienceUs
}

// play writes what comes next into p, up to a change of rate, and returns the frames.
func (d *deck) play(p []byte) int {
	step := float64(d.in.rate) / outputRate * (1 + d.steer.ppm/1e6)
	if d.in.end < 0 {
		d.fetch(d.in.need(len(p)/bytesPerFrame, step))
	}
	n := d.in.produce(p, step)
	if d.in.end >= 0 && n < len(p)/bytesPerFrame { // the last frame of this rate is out
		c := d.queue[0]
		over := (d.in.pos - float64(d.in.end)) / float64(d.in.rate) * float64(c.rate)
		d.in.restart(c.rate, math.Round(over)) // on a sample: at outputRate they are then played as they are
		d.edge = c.at()
	}
	return n
}

// fetch appends the next n frames to the resampler: music, or silence where it has a
// gap or has not come. It appends less, and finishes the resampler, before a chunk of
// another rate.
func (d *deck) fetch(n int) {
	for n > 0 {
		if len(d.queue) == 0 {
			seen := ""
			if d.endUs-d.edge.us() > slowAfter.Microseconds() { // the music has arrived
				seen = tooSlow
			}
			d.starve(int64(n)*1_000_000/d.edge.rate, seen)
			d.pad(n)
			return
		}
		c := d.queue[0]
		if !d.aligned || !c.placed {
			gap := d.gap(c)
			if gap > 0 {
				quiet := int(min(int64(n), gap))
				d.fed()
				d.quiet(int64(quiet) * 1_000_000 / d.edge.rate)
				d.pad(quiet)
				n -= quiet
				continue
			}
			if gap < 0 {
				c.played += int(min(int64(c.left()), -gap*int64(c.rate)/d.edge.rate))
			}
		}
		if c.left() == 0 {
			d.queue = d.queue[1:]
			continue
		}
		if c.rate != d.in.rate {
			d.in.finish()
			return
		}
		d.place(c)
		take := min(n, c.left())
		d.in.append(c.pcm[2*c.played : 2*(c.played+take)])
		c.played += take
		d.edge.frames += int64(take)
		n -= take
	}
}

// gap is how many frames lie between the end of what was appended and the chunk: negative
// when the chunk is late, 0 when it follows.
func (d *deck) gap(c *chunk) int64 {
	us := c.at().us() - d.edge.us()
	if d.aligned && us < toleranceUs && us > -toleranceUs {
		return 0
	}
	frames := us * d.edge.rate
	if frames < 0 {
		return (frames - 500_000) / 1_000_000
	}
	return (frames + 500_000) / 1_000_000
}

// place puts the chunk's next frame at the end of what was appended.
func (d *deck) place(c *chunk) {
	d.fed()
	d.aligned, d.lead = true, false
	if c.placed {
		return
	}
	c.placed = true
	d.edge = c.at()
	at := d.writing + int64(float64(d.in.frames())-d.in.pos) // exact enough for a figure
	d.marks = append(d.marks, mark{at, c.item})
}

// pad appends silence.
func (d *deck) pad(frames int) {
	d.in.silence(frames)
	d.edge.frames += int64(frames)
	d.aligned = false
}

// quiet counts silence that is heard after the music has begun.
func (d *deck) quiet(us int64) {
	if d.heard.item != nil || len(d.marks) > 0 {
		d.silentUs += us
	}
}

// starve records that music is missing; seen is the reason, if the deck knows it.
func (d *deck) starve(us int64, seen string) {
	e := &d.silence
	if !e.on {
		*e = episode{on: true, at: d.edge.us()}
		e.cause = d.cause(e.at, seen)
		d.Underruns++
		d.LastCause = e.cause
	}
	e.missingUs += us
	d.quiet(us)
	if e.missingUs >= sayAfterUs && !e.said {
		d.sayUnderrun(true)
	}
}

// fed ends the silence, if there is one.
func (d *deck) fed() {
	if d.silence.on {
		d.sayUnderrun(false)
		d.silence = episode{}
	}
}

// end reports the silence in which the player ends, if there is one.
func (d *deck) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.silence.on {
		d.sayUnderrun(true)
	}
}

func (d *deck) sayUnderrun(goesOn bool) {
	e := &d.silence
	e.said = true
	fact := &messages.PlayerUnderran{Cause: e.cause, MissingUs: e.missingUs, AtUnixUs: e.at, GoesOn: goesOn}
	last := d.heard.item
	if n := len(d.marks); n > 0 {
		last = d.marks[n-1].item
	}
	if last != nil {
		fact.Song, fact.Number = last.Song.GetSong(), last.Number
	}
	d.report(fact)
}

// listen follows what is heard now.
func (d *deck) listen(now int64) {
	d.loud.listen(func(frame int64) bool { return d.hears(frame) <= now })
	for len(d.marks) > 0 && d.hears(d.marks[0].frame) <= now {
		m := d.marks[0]
		d.marks = d.marks[1:]
		if before := d.heard.item; before != nil && before.Song.GetNumber() != m.item.Song.GetNumber() {
			d.report(&messages.SongHeard{
				Song: before.Song.GetSong(), Number: before.Number, Chunks: d.played, AtUnixUs: d.hears(m.frame),
			})
			d.played = 0
		}
		if before := d.heard.item; d.turned != nil && (before == nil || before.Song.GetNumber() != m.item.Song.GetNumber()) {
			d.turned(m.item.Song)
		}
		d.played++
		d.heard = m
	}
}
