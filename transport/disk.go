package transport

import "context"

// Disk is what the request port must know of the disk below the server's log.
type Disk interface {
	// Full says that nothing should be promised that the log has to remember.
	Full() bool
	// Short says that so much waits for the disk that there is only room for songs and goodbyes.
	Short() bool
	// Settled waits until all that the log was told is on the disk; false if it cannot be now, or
	// ctx has ended.
	Settled(ctx context.Context) bool
}

// fineDisk is never full.
type fineDisk struct{}

func (fineDisk) Full() bool                   { return false }
func (fineDisk) Short() bool                  { return false }
func (fineDisk) Settled(context.Context) bool { return true }
