package eventlog

// DiskState says whether a Steady's disk works.
type DiskState int

const (
	DiskFine DiskState = iota // it takes events
	DiskFull                  // it has no room: events are written into the reserve
	DiskAway                  // it takes nothing: events stay in memory until it does
)

// Reserve is disk space that is kept free for the log.
type Reserve interface {
	// Fill takes the space unless it is taken already. The error says that the disk has none to spare.
	Fill() error
	// GiveUp leaves the space to the log; false if that was done before.
	GiveUp() bool
}

// noReserve is the reserve of a disk that nobody else writes to.
type noReserve struct{}

func (noReserve) Fill() error  { return nil }
func (noReserve) GiveUp() bool { return false }

// Placed is a store in files that somebody can move or remove while they are open.
type Placed interface {
	Store
	// Misplaced returns an error that names the file that is not where it belongs; nil if all are.
	Misplaced() error
	// Replace writes everything that the store has to where it belongs, closes the store and returns the
	// new one. After an error it returns the old one, so that it can be tried again.
	Replace() (Store, error)
}
