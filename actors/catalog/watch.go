package catalog

import (
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"
)

// watch tells when something in the songs folder or its subfolders changes, if the system reports it.
type watch struct {
	watcher *fsnotify.Watcher // nil: the system has no watch left to give
	told    atomic.Bool       // tell was called, but heard was not: a file of 5 MB is thousands of writes

	// For the look under way; one goroutine looks at a time.
	most int             // how many folders may be watched
	kept map[string]bool // folders that are watched
	all  bool            // all folders so far are watched
}

// newWatch calls tell, on its own goroutine, when something has changed; then not
// again until heard.
func newWatch(tell func()) *watch {
	w := &watch{}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return w // without a watch, the catalog looks from time to time
	}
	w.watcher = watcher
	go w.listen(tell)
	return w
}

func (w *watch) listen(tell func()) {
	events, errs := w.watcher.Events, w.watcher.Errors
	for events != nil || errs != nil {
		select {
		case _, ok := <-events: // also if only a file's time was set, because it may have been saved
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
	// mostFiles is how many files a watched folder may have on systems that must open each of them for that,
	// because connections need open files, too.
	mostFiles = 200
	// mostWatched is how many folders are watched. Systems allow a user some thousand, for all programs.
	mostWatched = 4096
	// mostWindows is the same on Windows, where each costs 64 KB.
	mostWindows = 128
)

// begin begins a look at a folder that has had this many files.
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

// add watches the folder, also one that has just come (back), if the system has a
// watch left for it.
func (w *watch) add(path string) {
	if w.watcher == nil || len(w.kept) >= w.most || w.watcher.Add(path) != nil {
		w.all = false
		return
	}
	w.kept[filepath.Clean(path)] = true
}

// end stops watching folders that the look has not seen, and says whether all others are watched.
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
