// Package live says what a running server, a listener or a demo is doing at this moment, for a screen:
// what is heard, what comes, who stands where, and in a sentence what has just happened.
package live
