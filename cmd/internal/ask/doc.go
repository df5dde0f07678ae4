// Package ask asks nodes what they know, over HTTP or in the log that one left on this machine. Who answers
// may be a stranger: answers are bounded and lead nowhere else.
package ask
