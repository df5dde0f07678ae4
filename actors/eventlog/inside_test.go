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

// Pack is what is kept of states by another program, or at another place.
var Pack = pack

// ThisProgram is the one that packs.
var ThisProgram = program

func (s *Steady) InMemory() int         { s.mu.Lock(); defer s.mu.Unlock(); return s.bytes }
func (s *Steady) Done() <-chan struct{} { return s.done }
func (l *Log) Tail() (n, room, bytes int) {
	return len(l.tail.records), cap(l.tail.records), l.tail.bytes
}
