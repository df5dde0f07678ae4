//go:build !race

package congatest

// Raced: the tests run with the race detector.
const Raced = false
