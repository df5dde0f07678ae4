// Package address knows how people write addresses, which ones of this machine others can reach, and what to do
// about one that cannot be had.
package address
