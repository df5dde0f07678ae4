package player

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	gomp3 "github.com/hajimehoshi/go-mp3"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == SpeakerCommand {
		if len(os.Args) > 2 {
			actAs(os.Args[2])
		} else {
			Speak(os.Stdin, os.Stdout)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// recording is a song's frames and what they are when decoded in one piece.
type recording struct {
	name   string
	rate   int
	frames [][]byte
}

// load reads the song's frames, at most `seconds` of them; 0 means all.
func load(t testing.TB, name string, rate int, seconds float64) recording {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "songs", name))
	if err != nil {
		t.Fatal(err)
	}
	if string(b[:3]) == "ID3" {
		b = b[10+int(b[6])<<21+int(b[7])<<14+int(b[8])<<7+int(b[9]):]
	}
	r := recording{name: name, rate: rate}
	for len(b) > 4 && (seconds == 0 || float64(len(r.frames)*samples) < seconds*float64(rate)) {
		f, err := firstFrame(b, rate)
		if err != nil {
			break
		}
		b = b[len(f):]
		if start := f[:min(len(f), 60)]; bytes.Contains(start, []byte("Xing")) || bytes.Contains(start, []byte("Info")) {
			continue
		}
		r.frames = append(r.frames, f)
	}
	if len(r.frames) < 10 {
		t.Fatalf("%s: %d frames", name, len(r.frames))
	}
	return r
}

// decoded keeps what pcm returned, by the hash of the frames: with the race detector to decode takes seconds. For the same
// reason the race detector does not look at functions here that only compute.
var decoded sync.Map

// pcm decodes the whole recording with go-mp3 alone: the reference.
func (r recording) pcm(t testing.TB) []int16 {
	t.Helper()
	song := bytes.Join(r.frames, nil)
	key := sha256.Sum256(song)
	if pcm, is := decoded.Load(key); is {
		return slices.Clone(pcm.([]int16))
	}
	d, err := gomp3.NewDecoder(struct{ io.Reader }{bytes.NewReader(song)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(d)
	if err != nil {
		t.Fatal(err)
	}
	pcm := toSamples(b)
	decoded.Store(key, pcm)
	return slices.Clone(pcm)
}

//go:norace
func toSamples(b []byte) []int16 {
	pcm := make([]int16, len(b)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return pcm
}

// broadcast makes the items of the recordings, back to back, the first number 1, the
// first sample due at playAt.
func broadcast(t testing.TB, playAt int64, recordings ...recording) []*messages.Item {
	t.Helper()
	var items []*messages.Item
	number := uint64(1)
	for _, r := range recordings {
		per := int(messages.FramesPerChunk(int32(r.rate)))
		change := &messages.SongChange{
			Number: number, Song: r.name, SampleRate: int32(r.rate), PlayAtUnixUs: playAt,
			Frames: int64(len(r.frames)), FramesPerChunk: int32(per),
		}
		item, err := messages.NewSongChange(change)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
		number++
		for first := 0; first < len(r.frames); first += per {
			last := min(first+per, len(r.frames))
			chunk := messages.NewChunk(number, int64(first), bytes.Join(r.frames[first:last], nil))
			chunk.Song = change
			items = append(items, chunk)
			number++
		}
		playAt += messages.FrameOffset(int64(len(r.frames)), int32(r.rate)).Microseconds()
	}
	return items
}

// script is a Source that gives each item `lead` before it is due, and then waits.
type script struct {
	items []*messages.Item
	now   func() int64
	lead  time.Duration
	late  map[uint64]time.Duration // items that come so much later than that
}

func (s *script) Next(ctx context.Context) (*messages.Item, error) {
	if len(s.items) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	item := s.items[0]
	s.items = s.items[1:]
	wait := time.Duration(item.PlayAt()-s.now())*time.Microsecond - s.lead + s.late[item.Number]
	if wait > time.Minute || wait < -time.Minute {
		wait = 0 // a liar's time
	}
	select {
	case <-time.After(wait):
		return item, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// tape is an Output that keeps what is heard, and when its first frame was.
type tape struct {
	mu    sync.Mutex
	began time.Time
	bytes []byte
	fail  chan error // ends Run
}

func (o *tape) Name() string           { return "tape" }
func (o *tape) Latency() time.Duration { return 0 }

func (o *tape) Run(ctx context.Context, feed Feed) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed error
	if o.fail != nil {
		go func() {
			select {
			case err := <-o.fail:
				o.mu.Lock()
				failed = err
				o.mu.Unlock()
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	o.began = time.Now()
	err := pace(ctx, feed, func(p []byte) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.bytes = append(o.bytes, p...)
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	if failed != nil {
		return failed
	}
	return err
}

func (o *tape) pcm() []int16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return toSamples(o.bytes)
}

// facts collects what a player reports.
type facts struct {
	mu  sync.Mutex
	all []proto.Message
}

func (f *facts) report(m proto.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, m)
}

func of[M proto.Message](f *facts) []M {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []M
	for _, m := range f.all {
		if m, ok := m.(M); ok {
			out = append(out, m)
		}
	}
	return out
}

// testConfig is a complete Config whose log goes to the test.
func testConfig(t testing.TB, f *facts, out Output, source Source) Config {
	return Config{
		Open:    func() Source { return source },
		Now:     func() int64 { return time.Now().UnixMicro() },
		Output:  out,
		Report:  f.report,
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
		decoder: goMP3,
	}
}

// left is the left channel.
//
//go:norace
func left(pcm []int16) []float64 {
	out := make([]float64, len(pcm)/2)
	for i := range out {
		out[i] = float64(pcm[2*i])
	}
	return out
}

// correlation of a and b, 1 for the same sound.
//
//go:norace
func correlation(a, b []float64) float64 {
	n := min(len(a), len(b))
	var ab, aa, bb float64
	for i := range n {
		ab += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// align returns the lag, at most `most` either way, at which heard resembles want most.
//
//go:norace
func align(want, heard []float64, around, most int) (lag int, best float64) {
	for l := around - most; l <= around+most; l++ {
		if l < 0 || l >= len(heard) {
			continue
		}
		if c := correlation(want, heard[l:]); c > best {
			lag, best = l, c
		}
	}
	return lag, best
}

// longestSilence is the longest run of zeros, in frames.
//
//go:norace
func longestSilence(pcm []float64) int {
	run, longest := 0, 0
	for _, s := range pcm {
		if s != 0 {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// at outputRate: the reference, resampled by a slow exact sinc.
//
//go:norace
func reference(pcm []int16, rate int) []float64 {
	in := left(pcm)
	if rate == outputRate {
		return in
	}
	ratio := float64(rate) / outputRate
	out := make([]float64, int(float64(len(in))/ratio))
	for n := range out {
		pos := float64(n) * ratio
		i := int(pos)
		for k := max(0, i-31); k <= min(len(in)-1, i+32); k++ {
			x := float64(k) - pos
			out[n] += in[k] * sinc(x) * (0.5 + 0.5*math.Cos(math.Pi*x/33))
		}
	}
	return out
}
