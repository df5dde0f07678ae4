//go:build linux || ((cgo || windows || darwin) && !nospeaker)

package player

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// withSpeaker tells whether this build can play.
const withSpeaker = true

const (
	// SpeakerCommand is the first word of the command line that makes this program the process of a
	// loudspeaker: it calls Speak.
	SpeakerCommand = "speaker"
	// inSpeaker is set in that process. A program that does not know the command (a test) would otherwise
	// start itself without end.
	inSpeaker = "CONGA_IN_SPEAKER"

	// openPatience is how long a sound system may take to open.
	openPatience = 5 * time.Second
	// hangsAfter is how long a playing device may take nothing before its process is killed; it may take
	// twice as long.
	hangsAfter = 5 * time.Second
	// maxPrinted is how many bytes are kept of what the libraries in that process print.
	maxPrinted = 4096
)

// The loudspeaker's process sends eight bytes (two uint32, little-endian). In its first message they are ready and
// its latency in µs. In most others they are how many frames it wants, and how many wait in it; the
// answer is the frames. If it wants 0 frames, its last message follows, and the second
// number is its length in bytes. After plays and a length the name of the device follows.
const (
	wantSize = 8
	ready    = 1<<32 - 1
	plays    = 1<<32 - 2
	maxText  = 4096 // bytes of the last message, and of the device's name
)

// speaker plays in a separate process (Speak). oto opens a device only once in a process, so only a new process can play
// after a card was pulled, or on a card that was plugged in later. The process also isolates libraries that print or
// hang.
type speaker struct {
	args []string // of the process; for tests
	env  []string
}

// newSpeaker returns the loudspeaker. Its process sees env beside this program's environment.
func newSpeaker(env ...string) Output { return speaker{env: env} }

func (speaker) Name() string { return "speaker" }

// Latency of a device is known when it is open.
func (speaker) Latency() time.Duration { return 0 }

func (s speaker) Run(ctx context.Context, feed Feed) error {
	out, err := s.Open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return out.Run(ctx, feed)
}

// Open starts the process and waits until it wants the first frames.
func (s speaker) Open(ctx context.Context) (Output, error) {
	if os.Getenv(inSpeaker) != "" {
		return nil, errors.New("this program does not know the command " + SpeakerCommand)
	}
	l, err := startLoudspeaker(s.args, s.env)
	if err != nil {
		return nil, fmt.Errorf("start the loudspeaker's process: %w; --output null plays without it", err)
	}
	opened := make(chan error, 1)
	go func() { opened <- l.begin() }()
	patience := time.NewTimer(openPatience)
	defer patience.Stop()
	select {
	case err = <-opened:
	case <-patience.C:
		l.kill()
		err = <-opened
	case <-ctx.Done():
		l.kill()
		<-opened
		err = ctx.Err()
	}
	if err != nil {
		return nil, l.end(err)
	}
	return l, nil
}

// loudspeaker is an opened speaker. Its Run can be called once.
type loudspeaker struct {
	speaker
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  io.ReadCloser
	said words // what libraries printed

	latency         time.Duration
	device          string // that plays; empty: it did not say
	frames, waiting int    // how many it wants, and how many wait in it
	wishes          atomic.Int64
	killed          atomic.Bool
}

func (l *loudspeaker) Latency() time.Duration { return l.latency }

func startLoudspeaker(args, env []string) (*loudspeaker, error) {
	program, err := os.Executable()
	if runtime.GOOS == "linux" {
		program = "/proc/self/exe" // also after an update has put another one in its place
	}
	if err != nil {
		return nil, err
	}
	l := &loudspeaker{cmd: exec.Command(program, append([]string{SpeakerCommand}, args...)...)}
	l.cmd.Env = append(append(os.Environ(), env...), inSpeaker+"=1")
	l.cmd.Stderr = &l.said
	l.cmd.WaitDelay = time.Second // a sound server that a library has started may hold stderr for ever
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if l.out, err = l.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return l, l.cmd.Start()
}

func (l *loudspeaker) Run(ctx context.Context, feed Feed) error {
	defer context.AfterFunc(ctx, l.kill)()
	watched, unwatch := context.WithCancel(ctx)
	defer unwatch()
	go l.watch(watched)
	buf := make([]byte, blockFrames*bytesPerFrame)
	for device := ""; ; {
		if l.device != device {
			device = l.device
			feed.Plays(device)
		}
		p := buf[:l.frames*bytesPerFrame]
		feed.Fill(p, l.waiting)
		_, err := l.in.Write(p)
		if listened := l.listen(); listened != nil { // its last message says more than a broken pipe
			err = listened
		}
		if err != nil {
			err = l.end(err)
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// begin waits until the process wants frames for the first time.
func (l *loudspeaker) begin() error {
	first, second, err := l.read()
	if err == nil && first == ready {
		l.latency = time.Duration(second) * time.Microsecond
		return l.listen()
	}
	return l.take(first, second, err)
}

// listen waits until the process wants frames.
func (l *loudspeaker) listen() error { return l.take(l.read()) }

// text reads what follows a message.
func (l *loudspeaker) text(length uint32) string {
	text := make([]byte, min(length, maxText))
	n, _ := io.ReadFull(l.out, text)
	return string(text[:n])
}

func (l *loudspeaker) read() (first, second uint32, err error) {
	var b [wantSize]byte
	if _, err := io.ReadFull(l.out, b[:]); err != nil {
		return 0, 0, errors.New("the loudspeaker's process has ended")
	}
	return binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:]), nil
}

func (l *loudspeaker) take(frames, second uint32, err error) error {
	if err != nil {
		return err
	}
	switch {
	case frames == plays:
		l.device = l.text(second)
		return l.listen()
	case frames == 0:
		return errors.New(l.text(second))
	case frames > blockFrames:
		return fmt.Errorf("the loudspeaker's process wants %d frames", frames)
	}
	l.frames, l.waiting = int(frames), int(second)
	l.wishes.Add(1)
	return nil
}

// watch kills a process that no longer wants frames.
func (l *loudspeaker) watch(ctx context.Context) {
	tick := time.NewTicker(hangsAfter)
	defer tick.Stop()
	for before := int64(-1); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := l.wishes.Load()
		if now == before {
			l.kill()
			return
		}
		before = now
	}
}

func (l *loudspeaker) kill() {
	l.killed.Store(true)
	_ = l.cmd.Process.Kill()
	_, _ = l.in.Close(), l.out.Close() // ends reads and writes, even if a sound server has inherited the other ends
}

// end waits until the process is gone, and returns in one sentence why there is no sound and what to do.
func (l *loudspeaker) end(err error) error {
	hung := l.killed.Load()
	l.kill()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = l.cmd.Wait() // it was killed, or has sent its message
	}()
	select {
	case <-gone:
	case <-time.After(2 * l.cmd.WaitDelay): // a driver hangs and keeps the process
	}
	reason := err.Error()
	switch said := l.said.first(); {
	case hung:
		reason = "the sound system does not answer"
	case said != "":
		reason += " (" + said + ")"
	}
	return fmt.Errorf("%s. The music is heard as soon as a sound card answers; "+
		"--output null plays without one, --output wav:FILE records", reason)
}

// words keeps the beginning of what is printed.
type words struct {
	mu sync.Mutex
	b  []byte
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, p[:min(len(p), maxPrinted-len(w.b))]...)
	return len(p), nil
}

// first returns the first line, without the place in ALSA's source: "cannot find card '0'".
func (w *words) first() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	line, _, _ := strings.Cut(string(w.b), "\n")
	if place, rest, found := strings.Cut(line, ") "); found && strings.HasPrefix(place, "ALSA lib ") {
		line = rest
	}
	return strings.TrimSpace(line)
}
