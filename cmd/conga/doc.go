// Command conga is a radio whose listeners stand in a line: the server plays to the
// first, and each passes the music on to the next.
//
// Each command parses its flags, wires rooms together and waits; what is decided is
// decided in package actors' folders.
package main
