package baseline

import (
	"bytes"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
)

// Decode decodes an mp3 with go-mp3 alone, and returns how many seconds of music it has.
func Decode(song []byte) (seconds float64, err error) {
	decoder, err := mp3.NewDecoder(io.MultiReader(bytes.NewReader(song))) // not an io.Seeker, which would be scanned first
	if err != nil {
		return 0, fmt.Errorf("decode with go-mp3: %w", err)
	}
	n, err := io.Copy(io.Discard, decoder)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("decode with go-mp3, %d bytes: %w", n, err)
	}
	const frame = 4 // bytes: left and right
	return float64(n) / frame / float64(decoder.SampleRate()), nil
}
