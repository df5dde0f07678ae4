//go:build unix

package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// soakFigures are taken of the whole process, at one moment of a soak.
type soakFigures struct {
	chunks     uint64 // that the server has sent so far
	heap       int64  // bytes in use, after a collection
	events     uint64 // of all logs, that are in memory
	stack      int64
	goroutines int
	files      int
	log        int64 // bytes of the events, and of the log's folder
	folder     int64
	late       time.Duration // how long a chunk takes through the chain
	processor  time.Duration // used for each chunk since the last look
	used       time.Duration // so far
}

const (
	// eventBytes is about what an event in memory takes. A log has its last serverEvents there, a listener's journal in
	// memory has listenerEvents: it takes hours until they are full, and until then they grow.
	eventBytes                   = 2 << 10
	serverEvents, listenerEvents = 4096, 10_000
)

func (s *soaking) look(before []soakFigures) soakFigures {
	size, err := s.server.Log.Size()
	if err != nil {
		s.t.Error(err)
	}
	f := soakFigures{chunks: s.server.Server.Newest(), late: s.latency(), files: openFiles(), log: size, folder: folderBytes(s.data), used: processorTime()}
	f.events = min(s.server.Log.Last(), serverEvents)
	for _, v := range s.stay {
		f.events += min(v.node.Log.Last(), listenerEvents)
	}
	if last := len(before) - 1; last >= 0 && f.chunks > before[last].chunks {
		f.processor = (f.used - before[last].used) / time.Duration(f.chunks-before[last].chunks)
	}
	var m runtime.MemStats
	for range 2 { // pools are emptied by the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	f.heap, f.stack, f.goroutines = int64(m.HeapAlloc), int64(m.StackInuse), runtime.NumGoroutine()
	return f
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func soakTable(all []soakFigures) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%10s %8s %7s %8s %10s %6s %8s %8s %9s %10s\n", "chunks", "heap kB", "events", "stack kB", "goroutines", "files", "log kB", "disk kB", "late", "processor")
	for _, f := range all {
		fmt.Fprintf(&b, "%10d %8d %7d %8d %10d %6d %8d %8d %9v %10v\n", f.chunks, f.heap>>10, f.events, f.stack>>10, f.goroutines, f.files, f.log>>10, f.folder>>10,
			f.late.Round(10*time.Microsecond), f.processor.Round(time.Microsecond))
	}
	return b.String()
}

// soakGrowth says which figure is larger in the last quarter than in the second: by more than a tenth, and more than
// what one moment may differ from another. The first quarter fills what has a bound. Processor time counts only in a long
// run, because a busy machine makes a short one differ.
func soakGrowth(all []soakFigures, long bool) (trouble []string) {
	quarter := len(all) / 4
	for _, c := range []struct {
		name  string
		of    func(soakFigures) int64
		least int64 // growth that means nothing
	}{
		{"bytes of the heap without events", func(f soakFigures) int64 { return f.heap - int64(f.events)*eventBytes }, 3 << 20},
		{"bytes of the stacks", func(f soakFigures) int64 { return f.stack }, 1 << 20},
		{"goroutines", func(f soakFigures) int64 { return int64(f.goroutines) }, 30},
		{"file handles", func(f soakFigures) int64 { return int64(f.files) }, 8},
		{"bytes of the log", func(f soakFigures) int64 { return f.log }, 512 << 10},
		{"bytes of the log's folder", func(f soakFigures) int64 { return f.folder }, 4 << 20},
		{"ns of delay", func(f soakFigures) int64 { return int64(f.late) }, int64(5 * time.Millisecond)},
		{"ns of processor for a chunk", func(f soakFigures) int64 { return int64(f.processor) }, int64(time.Millisecond)},
	} {
		if strings.Contains(c.name, "processor") && !long {
			continue
		}
		early, late := middle(all[quarter:2*quarter], c.of), middle(all[3*quarter:], c.of)
		if growth := late - early; growth > c.least && growth > early/10 {
			trouble = append(trouble, fmt.Sprintf("%s grow: from %d to %d", c.name, early, late))
		}
	}
	return trouble
}

// middle is the median.
func middle(all []soakFigures, of func(soakFigures) int64) int64 {
	var values []int64
	for _, f := range all {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// A leak is found, however the figures waver; and wavering alone is none.
func TestSoakGrowth(t *testing.T) {
	for name, c := range map[string]struct {
		leak func(f *soakFigures, look int)
		want string
	}{
		"flat":       {func(*soakFigures, int) {}, ""},
		"at first":   {func(f *soakFigures, look int) { f.heap += int64(min(look, soakLooks/4)) << 20 }, ""},
		"heap":       {func(f *soakFigures, look int) { f.heap += int64(look) << 18 }, "bytes of the heap without events grow"},
		"events":     {func(f *soakFigures, look int) { f.heap, f.events = f.heap+int64(look)<<18, f.events+uint64(look)<<8 }, ""},
		"goroutines": {func(f *soakFigures, look int) { f.goroutines += 3 * look }, "goroutines grow"},
		"files":      {func(f *soakFigures, look int) { f.files += look }, "file handles grow"},
		"log":        {func(f *soakFigures, look int) { f.log += int64(look) << 16 }, "bytes of the log grow"},
		"late":       {func(f *soakFigures, look int) { f.late += time.Duration(look) * time.Millisecond }, "ns of delay grow"},
	} {
		t.Run(name, func(t *testing.T) {
			var all []soakFigures
			for look := range soakLooks {
				wave := int64(look % 3)
				f := soakFigures{heap: 20<<20 + wave<<19, goroutines: 200 + int(4*wave), files: 40 + int(wave), log: 1<<20 + wave<<16, late: time.Duration(wave) * time.Millisecond}
				c.leak(&f, look)
				all = append(all, f)
			}
			if got := strings.Join(soakGrowth(all, false), "; "); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
