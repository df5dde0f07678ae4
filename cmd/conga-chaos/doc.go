// Command conga-chaos breaks nodes of conga and the cables between them, on a schedule that follows from a seed.
// It fails if a listener that was not hit itself loses any music.
package main
