// Command conga is a radio whose listeners stand in a line: the server plays to the
// first, and each passes the music on to the next.
//
// Each command parses its flags, connects the rooms and waits. Decisions are made in the
// folders of package actors.
package main
