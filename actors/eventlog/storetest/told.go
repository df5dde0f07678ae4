package storetest

import (
	"slices"
	"sync"
	"testing"

	"conga/actors/eventlog"
)

// Told records the states that a Steady reports of its disk.
type Told struct {
	mu     sync.Mutex
	states []eventlog.DiskState
}

// Tell is for eventlog.SteadyConfig.
func (d *Told) Tell(state eventlog.DiskState, _ error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.states = append(d.states, state)
}

// Want fails the test unless exactly these states were reported, in this order.
func (d *Told) Want(t testing.TB, want ...eventlog.DiskState) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.states, want) {
		t.Errorf("told %v, want %v", d.states, want)
	}
}
