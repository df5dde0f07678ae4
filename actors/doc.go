// Package actors has conga's two supervision trees, the server's and a listener's, each in
// one file, and starts them. The actors are in the folders below; cmd hands in their
// connections.
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
// The roots hold no logic that could fail, because a parent's restart stops its children.
// An actor that panics is restarted from its log after a growing wait, without limit. A
// connection that panics is closed; its peer connects again.
package actors
