// Package picture is the part of a server's state and log that anybody may see: no addresses, no keys, no files that
// cannot be played. It reads no clock and does no I/O, so that it shows the past as it was shown then.
package picture
