// Package raced lets tests be smaller with the race detector. It makes code that only computes ten times as slow, and gives
// up itself if one process synchronizes too often. `make test` also runs the whole tests without it.
package raced

// Size is how much a test does: small with the race detector, else whole.
func Size[T any](whole, small T) T {
	if On {
		return small
	}
	return whole
}
