// Package eventlog remembers everything that conga's actors ever decided: one
// ordered log, from which every state can be had again. It knows no file: eventlog/sqlite keeps a
// log on a disk, eventlog/export writes one as text.
//
// # Order and durability
//
// Events are numbered from 1 without a gap. The events of one Append are one
// unit: all are kept, or none. Append returns when they are on disk, and nobody
// (Since, Watch, a Keeper's State) is shown an event BEFORE that. Appenders that
// come at the same time share one transaction and so one disk sync; a Keeper
// may decide on top of events that are still on their way to the disk, and then
// stands or falls with them.
//
// A server's store is a Steady: while its disk is full, hangs or is broken, what is appended is
// kept in memory and written as soon as that is possible. A listener's is a diary (OpenDiary): memory, which
// one goroutine copies to a disk.
//
// # Who may write
//
// Append names the number after which its events belong. If the log has moved
// on, the answer is ErrConflict and nothing is kept: catch up, decide again.
// Keeper.Commit does just that. A data folder has one writer at a time; a
// second one gets ErrLocked.
//
// # What is checked
//
// Each event carries SHA-256 over itself and the hash of the event before, so
// the last hash vouches for the whole log. Open checks the newest events, and a state is
// built only on events that were checked; Verify checks every event and asks the store to
// check its medium. Damage to what no event needs may stay unnoticed.
//
// # What is thrown away
//
// A snapshot is a cache: one of another program, of another log or with a wrong
// sum is ignored and the log replayed. Archived events are replaced by a base:
// their last number and hash, and the states that they led to.
package eventlog
