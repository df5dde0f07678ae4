// Package export writes each event as a line of text for people, or as a line of JSON that holds all that
// the log holds. It reads the JSON back and checks every event against the hash chain.
package export
