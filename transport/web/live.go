package web

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// lookEvery is how often to look for new events, and lookAnyway how often to look at everything without one:
	// no event says how the nodes are doing.
	lookEvery, lookAnyway = 200 * time.Millisecond, 2 * time.Second
	// stillThere is how often something is sent to a visitor at least, so that a dead connection is found.
	stillThere = 15 * time.Second
	// maxVisitors is how many may see the page live.
	maxVisitors = 200
	// waitsForVisitor is how many parts may wait for a visitor that reads slowly.
	waitsForVisitor = 32
)

// live tells all visitors what has changed. It looks only while there are visitors.
type live struct {
	source Source

	mu       sync.Mutex
	visitors map[*visitor]bool
	last     Parts
	stop     context.CancelFunc // of the looking
}

// visitor is a browser that shows the page live.
type visitor struct {
	parts chan []byte
	cut   chan struct{} // closed: it does not read
}

func newLive(source Source) *live {
	return &live{source: source, visitors: map[*visitor]bool{}}
}

// enter adds a visitor and gives it all that is known; false if there are too many.
func (l *live) enter(v *visitor) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.visitors) >= maxVisitors {
		return false
	}
	l.visitors[v] = true
	if len(l.visitors) == 1 {
		ctx, stop := context.WithCancel(context.Background())
		l.stop, l.last = stop, nil
		go l.look(ctx)
	}
	for _, name := range l.last.names() {
		v.parts <- said(name, l.last[name]) // does not wait: parts has room for these few
	}
	return true
}

func (l *live) leave(v *visitor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.visitors[v] {
		return
	}
	delete(l.visitors, v)
	if len(l.visitors) == 0 {
		l.stop()
	}
}

func (p Parts) names() []string {
	var names []string
	for name := range p {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// said is a part in the format of server-sent events. JSON has no newlines.
func said(name string, part []byte) []byte {
	return slices.Concat([]byte("event: "), []byte(name), []byte("\ndata: "), part, []byte("\n\n"))
}

// look tells what has changed, until ctx ends.
func (l *live) look(ctx context.Context) {
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	seen, at := uint64(0), time.Time{}
	for {
		if last := l.source.Last(); last != seen || time.Since(at) >= lookAnyway {
			if parts, err := l.source.Look(ctx); err == nil { // else an actor is busy or restarts, and the next look finds it
				seen, at = last, time.Now()
				l.tell(ctx, parts)
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

func (l *live) tell(ctx context.Context, parts Parts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil {
		return // others look by now
	}
	for _, name := range parts.names() {
		if bytes.Equal(l.last[name], parts[name]) {
			continue
		}
		event := said(name, parts[name])
		for v := range l.visitors {
			select {
			case v.parts <- event:
			default:
				close(v.cut)
				delete(l.visitors, v)
			}
		}
	}
	l.last = parts
	if len(l.visitors) == 0 {
		l.stop()
	}
}

// ServeHTTP sends the news to one visitor until it leaves or does not read.
func (l *live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !only(w, r, http.MethodGet) {
		return
	}
	v := &visitor{parts: make(chan []byte, waitsForVisitor), cut: make(chan struct{})}
	if !l.enter(v) {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "As many look at this page as can.", http.StatusServiceUnavailable)
		return
	}
	defer l.leave(v)
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // it has said all that it says
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	write := func(event []byte) bool {
		_ = out.SetWriteDeadline(time.Now().Add(writeTakes))
		_, err := w.Write(event)
		return err == nil && out.Flush() == nil
	}
	if !write([]byte("retry: 2000\n\n")) {
		return
	}
	idle := time.NewTicker(stillThere)
	defer idle.Stop()
	for {
		select {
		case event := <-v.parts:
			if !write(event) {
				return
			}
		case <-idle.C:
			if !write([]byte(": still there\n\n")) {
				return
			}
		case <-v.cut:
			return
		case <-r.Context().Done():
			return
		}
	}
}
