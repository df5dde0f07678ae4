package eventlog

// DiskState is how the disk below a Steady does.
type DiskState int

const (
	DiskFine DiskState = iota // all that was told is on it
	DiskFull                  // it has no room: what is written takes of the reserve
	DiskAway                  // it takes nothing: events are in memory until it does
)

// Reserve is room on the disk that is kept for the log.
type Reserve interface {
	// Fill takes the room, if it is not taken and there is some to spare.
	Fill() error
	// GiveUp lets the log have it; false if that was done before.
	GiveUp() bool
}

// noReserve is that of a disk that nobody else writes to.
type noReserve struct{}

func (noReserve) Fill() error  { return nil }
func (noReserve) GiveUp() bool { return false }

// Placed is a store in files that somebody can move or remove while they are open.
type Placed interface {
	Store
	// Misplaced is an error that says which file is not where it belongs.
	Misplaced() error
	// Replace writes all that the store has to where it belongs, closes the store and returns the
	// one to go on with: after an error that is the old one, for another try.
	Replace() (Store, error)
}
