// Package ask asks nodes what they know, over HTTP or from a log on this machine. The node that answers may be a
// stranger's, so answers are bounded, and redirects are not followed.
package ask
