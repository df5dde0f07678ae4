package catalog

import (
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"
)

// watch hears when something in the songs folder or its subfolders changes, as far as the system tells.
type watch struct {
	watcher *fsnotify.Watcher // nil: the system has no watch left to give
	told    atomic.Bool       // tell was called and not yet heard: a file of 5 MB is thousands of writes

	// Of the look under way; one goroutine looks at a time.
	most int             // folders that may be watched
	kept map[string]bool // that are
	all  bool            // all so far are
}

// newWatch calls tell, on its own goroutine, when something has changed; then not
// again until heard.
func newWatch(tell func()) *watch {
	w := &watch{}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return w // looking from time to time must do
	}
	w.watcher = watcher
	go w.listen(tell)
	return w
}

func (w *watch) listen(tell func()) {
	events, errs := w.watcher.Events, w.watcher.Errors
	for events != nil || errs != nil {
		select {
		case _, ok := <-events: // also of times that were set: the file may have been saved
			if !ok {
				events = nil
				continue
			}
		case _, ok := <-errs: // some events were lost
			if !ok {
				errs = nil
				continue
			}
		}
		if !w.told.Swap(true) {
			tell()
		}
	}
}

// heard allows the next call of tell.
func (w *watch) heard() { w.told.Store(false) }

const (
	// mostFiles is how many files a folder may have that is watched where the system wants each of them
	// opened for that: connections need what else the process may open.
	mostFiles = 200
	// mostWatched is how many folders are watched. Systems allow a user some thousand, for all programs.
	mostWatched = 4096
	// mostWindows is the same where each costs 64 KB.
	mostWindows = 128
)

// begin begins a look at so many files.
func (w *watch) begin(files int) {
	w.most, w.kept, w.all = mostWatched, map[string]bool{}, w.watcher != nil
	switch runtime.GOOS {
	case "windows":
		w.most = mostWindows
	case "darwin", "freebsd", "openbsd", "netbsd", "dragonfly":
		if files > mostFiles {
			w.most = 0
		}
	}
}

// add sees to it that the folder is watched, also one that has just come (back), if the system has a
// watch left for it.
func (w *watch) add(path string) {
	if w.watcher == nil || len(w.kept) >= w.most || w.watcher.Add(path) != nil {
		w.all = false
		return
	}
	w.kept[filepath.Clean(path)] = true
}

// end stops watching what the look has not seen, and says whether it has watched all folders.
func (w *watch) end() bool {
	if w.watcher == nil {
		return false
	}
	for _, path := range w.watcher.WatchList() {
		if !w.kept[filepath.Clean(path)] {
			_ = w.watcher.Remove(path) // it may be gone
		}
	}
	return w.all
}

// close ends listen.
func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close()
	}
}
