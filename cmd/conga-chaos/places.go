package main

import (
	"fmt"
	"slices"

	"conga/cmd/conga-chaos/internal/cables"
	"conga/cmd/conga-chaos/internal/schedule"
)

// mostCables is how many listeners can have one: the system's table of neighbours has room
// for a thousand entries, of which each takes two.
const mostCables = 400

// places returns where the server and the listeners may stand, and the acts that are possible
// there: each has a cable of its own, if one is asked for and can be had.
func places(acts []schedule.Act, nodes int, say func(string, ...any)) (place func() (network, error), possible []schedule.Act, done func() error) {
	here := func() (network, error) { return loopback(), nil }
	cabled := schedule.Act.Cabled
	if !slices.ContainsFunc(acts, cabled) {
		return here, acts, func() error { return nil }
	}
	router, err := (*cables.Router)(nil), fmt.Errorf("there are at most %d", mostCables)
	if nodes <= mostCables {
		router, err = cables.New()
	}
	if err != nil {
		all := len(acts)
		acts = uncabled(acts)
		say("%d failures are left out, since there are no cables: %v", all-len(acts), err)
		return here, acts, func() error { return nil }
	}
	return func() (network, error) { return wired(router) }, acts, router.Close
}

// uncabled are the acts that take no cable. A server of which it were to be pulled stands still.
func uncabled(acts []schedule.Act) (possible []schedule.Act) {
	for _, act := range acts {
		if act.Cable = false; !act.Cabled() {
			possible = append(possible, act)
		}
	}
	return possible
}
