// Package picture is what of a server's state and log anybody may see: no addresses, no keys, no files that cannot be
// played. It reads no clock and does no I/O, so that the past looks as the present did.
package picture
