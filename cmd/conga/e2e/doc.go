// Package e2e has no code but tests, which run the real program: servers and listeners are processes, and
// signals, sockets, disks and terminals are this machine's.
package e2e
