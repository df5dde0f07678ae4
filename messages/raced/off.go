//go:build !race

package raced

// On: the tests run with the race detector.
const On = false
