// Package export writes events for people and for other machines: a line of text, a line of JSON that
// holds all that the log holds, and back. What comes back is proven, event by event.
package export
