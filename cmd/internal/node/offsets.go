package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"conga/actors/player"
	"conga/cmd/internal/disk"
)

const (
	// offsetsFile holds the offsets of the devices that a listener has played on.
	offsetsFile = "offsets.json"
	// maxDevices bounds the file. The device that was set longest ago is forgotten first.
	maxDevices = 64
	// maxOffsets is the size of the largest file that is read.
	maxOffsets = 1 << 20
)

// Offsets are the offsets of a listener's devices. It is a player.Offsets.
type Offsets struct {
	path   string // empty: they are not kept
	logger *slog.Logger

	mu     sync.Mutex
	given  *time.Duration // by the command line, for each device that was not set since; nil: none
	set    map[string]bool
	kept   []deviceOffset // the device that was set last is the first
	unsaid bool           // kept is not in the file yet
	saving sync.WaitGroup
	writes sync.Mutex
}

type deviceOffset struct {
	Device string  `json:"device"`
	Ms     float64 `json:"ms"`
}

// Offsets reads the offsets in the journal's folder. given is for all devices; nil: each has its own.
func (j Journal) Offsets(given *time.Duration, logger *slog.Logger) *Offsets {
	return OpenOffsets(j.dir, given, logger)
}

// OpenOffsets reads the offsets in a listener's folder; empty: it has none. If the file cannot be read, the listener plays
// all the same.
func OpenOffsets(dir string, given *time.Duration, logger *slog.Logger) *Offsets {
	o := &Offsets{given: given, logger: logger, set: map[string]bool{}}
	if dir == "" {
		return o
	}
	o.path = filepath.Join(dir, offsetsFile)
	kept, err := readOffsets(o.path)
	if err != nil {
		logger.Warn("the offsets of the loudspeakers cannot be read: set them again", "reason", err)
	}
	o.kept = kept
	return o
}

func readOffsets(path string) (kept []deviceOffset, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	data, err := io.ReadAll(io.LimitReader(file, maxOffsets))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &kept); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return kept[:min(len(kept), maxDevices)], nil
}

// ListenerFolder is the folder of the listener called name; data is the value of --data.
func ListenerFolder(data, name string) string {
	switch data {
	case NoData:
		return ""
	case "":
		return filepath.Join(ListenersDir(), folderName(name))
	}
	return data
}

// Of is the offset of a device: the one that was set in this run, else that of the command line, else the kept one.
func (o *Offsets) Of(device string) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.given != nil && !o.set[device] {
		return *o.given
	}
	for _, k := range o.kept {
		if k.Device == device {
			return time.Duration(k.Ms * float64(time.Millisecond))
		}
	}
	return 0
}

// Keep sets the offset of a device. It is saved in the background.
func (o *Offsets) Keep(device string, offset time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.set) < maxDevices {
		o.set[device] = true
	}
	o.kept = slices.DeleteFunc(slices.Clone(o.kept), func(k deviceOffset) bool { return k.Device == device })
	o.kept = slices.Insert(o.kept, 0, deviceOffset{device, offset.Seconds() * 1000})
	o.kept = o.kept[:min(len(o.kept), maxDevices)]
	if o.path == "" || o.unsaid {
		return
	}
	o.unsaid = true
	o.saving.Go(o.save)
}

// save writes the file, keeping what others have written since, because two listeners of one name may run.
func (o *Offsets) save() {
	o.writes.Lock()
	defer o.writes.Unlock()
	theirs, _ := readOffsets(o.path)
	o.mu.Lock()
	o.unsaid = false
	kept := slices.Clone(o.kept)
	for _, k := range theirs {
		if !slices.ContainsFunc(kept, func(own deviceOffset) bool { return own.Device == k.Device }) {
			kept = append(kept, k)
		}
	}
	o.mu.Unlock()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(kept[:min(len(kept), maxDevices)])
	if err == nil {
		err = os.MkdirAll(filepath.Dir(o.path), 0o700)
	}
	if err == nil {
		err = disk.WriteFile(o.path, text.Bytes(), 0o600)
	}
	if err != nil {
		o.logger.Warn("the offset of the loudspeaker cannot be saved: it holds until this program ends", "reason", err)
	}
}

// Close waits until everything is in the file.
func (o *Offsets) Close() { o.saving.Wait() }

var _ player.Offsets = (*Offsets)(nil)
