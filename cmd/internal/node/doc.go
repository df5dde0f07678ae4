// Package node makes a server or a listener out of the rooms: it opens ports, logs and keys, and introduces
// actors and transport to each other. It also knows where a node keeps what, and how its address is written.
package node
