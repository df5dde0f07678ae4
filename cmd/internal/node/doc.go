// Package node makes a server or a listener from the rooms: it opens ports, logs and keys, and connects
// actors with transport. It also knows where a node keeps its data.
package node
