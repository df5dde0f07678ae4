// Package seedtest is a client and a server of 2016 for tests, as naive as the original: it
// takes one read for a header and the next for an answer, and if a connection ends
// without a goodbye, everything ends.
package seedtest
