package transport

import "context"

// Disk is what the request port must know about the disk below the server's log (see eventlog.Steady).
type Disk interface {
	// Full reports that no promise should be made that the log has to remember.
	Full() bool
	// Short reports that the memory for waiting events has room only for songs and for listeners that leave.
	Short() bool
	// Settled waits until all events so far are on the disk; false if they cannot be written now, or
	// ctx has ended.
	Settled(ctx context.Context) bool
}

// fineDisk is never full.
type fineDisk struct{}

func (fineDisk) Full() bool                   { return false }
func (fineDisk) Short() bool                  { return false }
func (fineDisk) Settled(context.Context) bool { return true }
