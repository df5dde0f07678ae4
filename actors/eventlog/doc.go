// Package eventlog keeps all decisions of conga's actors in one ordered log, from which each actor's state
// can be rebuilt. It knows no files: eventlog/sqlite keeps a log on a disk, eventlog/export writes one as
// text.
//
// # Order and durability
//
// Events are numbered from 1 without a gap. The events of one Append are one
// unit: all are kept, or none. Append returns once they are on disk, and nobody
// (Since, Watch, a Keeper's State) is shown an event BEFORE that. Concurrent
// appends share one transaction, and so one disk sync. A Keeper may decide on
// top of events that are still on their way to the disk; if they fail, its
// decision fails with them.
//
// A server's store is a Steady: while its disk is full, hangs or is broken, events are kept in memory and
// written as soon as possible. A listener's store is a diary (OpenDiary): memory, which one goroutine copies
// to a disk.
//
// # Who may write
//
// Append is given the number of the event that its events must follow (optimistic
// locking). If the log has moved on, Append returns ErrConflict and keeps nothing:
// catch up and decide again, as Keeper.Commit does. A data folder has one writer
// at a time; a second one gets ErrLocked. Servers that share a log (standbys) share registers of Claims, too,
// and each writes through a Fence.
//
// # What is checked
//
// Each event has a SHA-256 over itself and the hash of the event before, so the last
// hash covers the whole log. Open checks the newest events, and states are built only
// on checked events. Verify checks every event and asks the store to check its
// medium. Damage in bytes that no event uses may stay unnoticed.
//
// # What is thrown away
//
// A snapshot is a cache. If it is of another program or another log, or its sum is
// wrong, it is ignored and the log is replayed. A base replaces archived events: their
// last number and hash, and the states that they led to.
package eventlog
