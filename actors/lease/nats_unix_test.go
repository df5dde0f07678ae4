//go:build unix

package lease

import (
	"testing"

	"conga/actors/eventlog"
	"conga/actors/eventlog/natstest"
)

// Each server of NATS stands still in turn, and its connections stay open. The leader leads on all the time, to whichever of them its
// log is connected.
func TestLease_ServersFrozen(t *testing.T) {
	t.Parallel()
	whileItLeads(t, func(_ int, server *natstest.Server, _, other eventlog.Claims) {
		server.Freeze()
		renewed(t, other, lasts)
		server.Thaw()
	})
}
