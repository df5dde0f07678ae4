package eventlog

// For tests in package eventlog_test.

const (
	DiskPatience = diskPatience
	SlowAfter    = slowAfter
	LookEvery    = lookEvery
	LastPatience = lastPatience
	LastAgain    = lastAgain
	MaxOwed      = maxOwed
	Newest       = newest
	TailEvents   = tailEvents
	TailBytes    = tailBytes
)

type Frozen = frozen

func (f frozen) Freeze() ([]byte, error) { return f.freeze() }
func Melt(data []byte) (Frozen, error)   { return melt(data) }
func (s *Steady) InMemory() int          { s.mu.Lock(); defer s.mu.Unlock(); return s.bytes }
func (s *Steady) Done() <-chan struct{}  { return s.done }
func (l *Log) Tail() (n, room, bytes int) {
	return len(l.tail.records), cap(l.tail.records), l.tail.bytes
}
