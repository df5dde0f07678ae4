// Package live says for a screen what a running server, listener or demo is doing now:
// what is heard, what comes, who stands where, and in a sentence what has just happened.
package live
