//go:build !unix

package screen

// captureStderr catches nothing: elsewhere the sound libraries do not print.
func captureStderr() (lines <-chan string, release func(), err error) {
	ended := make(chan string)
	close(ended)
	return ended, func() {}, nil
}
