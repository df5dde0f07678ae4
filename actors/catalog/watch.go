package catalog

import (
	"runtime"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"
)

// watch hears when something in a folder changes, as far as the system tells.
type watch struct {
	dir     string
	watcher *fsnotify.Watcher // nil: the system has no watch left to give
	told    atomic.Bool       // tell was called and not yet heard: a file of 5 MB is thousands of writes
}

// newWatch calls tell, on its own goroutine, when something has changed; then not
// again until heard.
func newWatch(dir string, tell func()) *watch {
	w := &watch{dir: dir}
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

// mostFiles is how many files a folder may have that is watched where the system wants each of them
// opened for that: connections need what else the process may open.
const mostFiles = 200

// keep sees to it that the folder is watched, also one that has just come (back), and
// says whether it is. It has about so many files.
func (w *watch) keep(files int) bool {
	if w.watcher == nil {
		return false
	}
	switch runtime.GOOS {
	case "darwin", "freebsd", "openbsd", "netbsd", "dragonfly":
		if files > mostFiles {
			_ = w.watcher.Remove(w.dir) // it may not have been watched
			return false
		}
	}
	return w.watcher.Add(w.dir) == nil
}

// close ends listen.
func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close()
	}
}
