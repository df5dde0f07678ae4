// Package address reads addresses as people write them, finds those of this machine that others can reach, and
// says what to do if one cannot be used.
package address
