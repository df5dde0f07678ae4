// Package actors shows conga's two supervision trees, the server's and a listener's,
// each in one file, and starts them. What the actors do is in the folders below; what
// their connections are made of is handed in by cmd.
//
//	server                        listener
//	├─ catalog                    ├─ relay
//	├─ scheduler                  │  └─ a link to each ancestor asked
//	├─ pacer                      ├─ player
//	├─ chainmanager               ├─ requester
//	├─ announcer                  │  └─ the request connection
//	├─ streams                    └─ streams
//	│  └─ each connection            └─ each connection
//	└─ requests
//	   └─ each connection
//
// The roots hold no logic that could break, for a parent's restart stops its children.
// An actor that panics is restarted with a growing wait, for ever: it remembers what
// its log does. A connection that panics is closed; its peer comes back.
package actors
