package player

import (
	"fmt"
	"sync"
	"time"
)

// recorded is the state of a recording, for the receipt. Any goroutine may use it.
type recorded struct {
	mu     sync.Mutex
	lacks  int64 // bytes of sound that the disk did not take
	stands bool  // the disk has taken nothing since then
	end    int64 // of the sound in the file
}

func (r *recorded) missed(bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lacks, r.stands = r.lacks+int64(bytes), true
}

func (r *recorded) took(end int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end, r.stands = end, false
}

// incomplete returns what the recording lacks, in words; "" if nothing.
func (r *recorded) incomplete() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.lacks == 0:
		return ""
	case r.stands:
		return fmt.Sprintf("it ends after %.1f s, its disk did not take the rest", seconds(r.end))
	}
	return fmt.Sprintf("%.1f s of it are silence because the disk did not take them", seconds(r.lacks))
}

func seconds(bytes int64) float64 {
	return (time.Duration(bytes/bytesPerFrame) * time.Second / outputRate).Seconds()
}
