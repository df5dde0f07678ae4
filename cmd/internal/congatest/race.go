//go:build race

package congatest

// Raced: the tests run with the race detector. It makes them ten times as slow, and gives up itself if one process
// synchronizes too often.
const Raced = true
