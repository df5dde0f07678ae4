package player

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"syscall"
	"time"
)

const (
	wavHeader = 44
	// wavMax is the most sound that the header's 32-bit sizes can tell of: 6 h 46 min.
	wavMax = (math.MaxUint32 - wavHeader) / bytesPerFrame * bytesPerFrame
	// wavSync is how much sound may lack in the header when the process is killed: a second.
	wavSync = outputRate * bytesPerFrame
)

// wav writes the sound into a file, at the speed of the sound. A first Run empties the
// file; later ones go on at its end, so that a restarted player keeps the recording.
type wav struct {
	path string
	data int64 // bytes of sound in the file
	full bool  // it takes no more, and that has been said
}

func (w *wav) Name() string           { return "wav:" + w.path }
func (w *wav) Latency() time.Duration { return 0 }

func (w *wav) Run(ctx context.Context, feed Feed) error {
	flags := os.O_RDWR | os.O_CREATE
	if w.data == 0 {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(w.path, flags, 0o644)
	if err != nil {
		return fmt.Errorf("record: %w; choose another file for --output wav:FILE", err)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.WriteAt(header(w.data), 0); err != nil {
		w.stop(feed, err)
	}
	told := w.data
	err = pace(ctx, feed, func(p []byte) {
		if w.full {
			return
		}
		if w.data+int64(len(p)) > wavMax {
			w.stop(feed, errors.New("a WAV file holds no more than 4 GiB"))
			return
		}
		if _, err := file.WriteAt(p, wavHeader+w.data); err != nil {
			w.stop(feed, err)
			return
		}
		w.data += int64(len(p))
		if w.data-told >= wavSync {
			told = w.data
			_, _ = file.WriteAt(header(told), 0) // overwrites: needs no space
		}
	})
	_, _ = file.WriteAt(header(w.data), 0)
	return err
}

func (w *wav) stop(feed Feed, err error) {
	w.full = true
	remedy := "start again with another --output wav:FILE to record on"
	if errors.Is(err, syscall.ENOSPC) {
		remedy = "make room and start again to record on"
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	feed.Say(fmt.Sprintf("recording %s stopped after %d s: %v; %s",
		w.path, w.data/bytesPerFrame/outputRate, err, remedy))
}

// header is the 44 bytes before `data` bytes of sound.
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
