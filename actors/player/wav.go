package player

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"
	"time"
)

const (
	wavHeader = 44
	// wavMax is the most sound, in bytes, that the header's 32-bit sizes allow: 6 h 46 min.
	wavMax = (math.MaxUint32 - wavHeader) / bytesPerFrame * bytesPerFrame
	// wavSync is how much sound the header may not count yet when the process is killed: a second.
	wavSync = outputRate * bytesPerFrame
	// wavQueue is how many blocks of 10 ms may wait for a slow disk: ten seconds.
	wavQueue = 1000
	// wavPatience is how long it may take to write the end of a recording.
	wavPatience = 2 * time.Second
)

// wav writes the sound into a file, at the speed of the sound. The first Run creates the file;
// later ones continue at its end, so that a restarted player keeps the recording. Two programs never
// record into one file.
//
// The player never waits for the disk. Sound that the disk did not take in time, or had no room for, becomes
// silence in the file, and the sound after it is at its proper place.
type wav struct {
	path string
	open func(path string, flags int) (wavFile, error) // nil: openWav; tests pass a disk that hangs

	data    int64 // bytes of sound so far
	mine    bool  // a Run has made the file; the writer's until writing is closed
	became  recorded
	writing chan struct{} // closed when the last Run's writer is done; nil before the first
}

// wavFile is what is needed of a file.
type wavFile interface {
	io.WriterAt
	io.Closer
}

func openWav(path string, flags int) (wavFile, error) { return os.OpenFile(path, flags, 0o644) }

// claim opens the file for the first time. It refuses a file that has content, because that is another's; a
// device, a pipe or an empty file has none.
func claim(path string, open func(path string, flags int) (wavFile, error)) (wavFile, error) {
	file, err := open(path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if !errors.Is(err, fs.ErrExist) {
		return file, err
	}
	if here, err := os.Stat(path); err == nil && here.Mode().IsRegular() && here.Size() > 0 {
		return nil, fmt.Errorf("%s exists: another program records into it, or did", path)
	}
	return open(path, os.O_RDWR|os.O_CREATE)
}

// block is 10 ms of sound and where they stand in the recording.
type block struct {
	at  int64
	pcm []byte
}

func (w *wav) Name() string           { return "wav:" + w.path }
func (w *wav) Latency() time.Duration { return 0 }

func (w *wav) Run(ctx context.Context, feed Feed) error {
	if w.writing != nil && !isClosed(w.writing) {
		return fmt.Errorf("the disk of %s has not taken the recording so far; record elsewhere with another --output wav:FILE", w.path)
	}
	w.writing = make(chan struct{})
	queue := make(chan block, wavQueue)
	over, end := context.WithCancelCause(ctx)
	defer end(nil)
	writer := wavWriter{path: w.path, begun: w.data, mine: &w.mine, say: feed.Say, open: openWav}
	writer.became = &w.became
	if w.open != nil {
		writer.open = w.open
	}
	go func(done chan struct{}) {
		defer close(done)
		if err := writer.write(queue); err != nil {
			end(fmt.Errorf("record: %w; choose another file for --output wav:FILE", err))
		}
	}(w.writing)
	hangs := false
	err := pace(over, feed, func(p []byte) {
		select {
		case queue <- block{w.data, bytes.Clone(p)}:
			hangs = hangs && len(queue) > wavQueue/2
		default:
			w.became.missed(len(p))
			if !hangs {
				hangs = true
				feed.Say(fmt.Sprintf("the recording %s stopped after %d s: its disk does not answer; it continues when the disk does",
					w.path, w.data/bytesPerFrame/outputRate))
			}
		}
		w.data += int64(len(p))
	})
	close(queue)
	select {
	case <-w.writing:
	case <-time.After(wavPatience):
	}
	if cause := context.Cause(over); ctx.Err() == nil && cause != nil {
		return cause
	}
	return err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// wavWriter is a Run's goroutine, which may wait for the disk.
type wavWriter struct {
	path  string
	begun int64 // where this Run begins in the recording
	mine  *bool // see wav
	say   func(string)
	open  func(path string, flags int) (wavFile, error)

	file    wavFile
	end     int64 // of the sound in the file
	told    int64 // in the header
	failing bool  // the last block could not be written, and that was reported
	full    bool  // a WAV file cannot hold more, and that was reported
	became  *recorded
}

// write writes blocks until the queue is closed. The error says that the file could not be created.
func (w *wavWriter) write(queue <-chan block) (err error) {
	if *w.mine {
		w.file, err = w.open(w.path, os.O_RDWR|os.O_CREATE)
	} else {
		w.file, err = claim(w.path, w.open)
	}
	if err != nil {
		return err
	}
	*w.mine = true
	defer func() { _ = w.file.Close() }()
	w.end = w.begun
	w.tell()
	for b := range queue {
		w.block(b)
	}
	w.tell()
	return nil
}

// block writes 10 ms.
func (w *wavWriter) block(b block) {
	end := b.at + int64(len(b.pcm))
	if end > wavMax {
		w.became.missed(len(b.pcm))
		if !w.full {
			w.full = true
			w.complain(w.end, "is over", errors.New("a WAV file holds no more than 4 GiB"), "start again with another --output wav:FILE to record on")
		}
		return
	}
	if _, err := w.file.WriteAt(b.pcm, wavHeader+b.at); err != nil {
		w.became.missed(len(b.pcm))
		if !w.failing {
			w.failing = true
			remedy := "it goes on when the file can be written again, or start again with another --output wav:FILE"
			if errors.Is(err, syscall.ENOSPC) {
				remedy = "make room, and it goes on"
			}
			w.complain(b.at, "stands still", err, remedy)
		}
		return
	}
	if missing := b.at - w.end; missing > 0 {
		w.say(fmt.Sprintf("the recording %s continues; %.1f s of it are silence because the disk did not take them",
			w.path, float64(missing)/bytesPerFrame/outputRate))
		w.failing = false
	}
	w.end = end
	w.became.took(end)
	if w.end-w.told >= wavSync {
		w.tell()
	}
}

// tell writes the header. It overwrites the old one, so it needs no room.
func (w *wavWriter) tell() {
	w.told = w.end
	_, _ = w.file.WriteAt(header(w.told), 0) // if that fails, the next block says so
}

func (w *wavWriter) complain(at int64, what string, err error, remedy string) {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	w.say(fmt.Sprintf("the recording %s %s after %d s: %v; %s", w.path, what, at/bytesPerFrame/outputRate, err, remedy))
}

// header returns the 44 bytes (RIFF WAVE) before `data` bytes of sound.
func header(data int64) []byte {
	h := make([]byte, 0, wavHeader)
	le := binary.LittleEndian
	h = append(h, "RIFF"...)
	h = le.AppendUint32(h, uint32(wavHeader-8+data))
	h = append(h, "WAVEfmt "...)
	h = le.AppendUint32(h, 16)
	h = le.AppendUint16(h, 1) // PCM
	h = le.AppendUint16(h, 2)
	h = le.AppendUint32(h, outputRate)
	h = le.AppendUint32(h, outputRate*bytesPerFrame)
	h = le.AppendUint16(h, bytesPerFrame)
	h = le.AppendUint16(h, 16)
	h = append(h, "data"...)
	return le.AppendUint32(h, uint32(data))
}
