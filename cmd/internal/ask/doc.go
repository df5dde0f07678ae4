// Package ask asks nodes what they know, over HTTP or from a log on this machine. The node that answers may be a
// stranger's: answers are bounded, and lead to no other address.
package ask
