package node

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/eventlog"
	"conga/actors/lease"
)

// A second server of a radio sees that the first is there, and one that comes after it waits only if that has crashed.
func TestAlone(t *testing.T) {
	start := func(registers []eventlog.Claims, at string) *lease.Lease {
		return lease.Start(lease.Config{
			Claims: registers, Length: soleLease, Requests: at, Now: func() int64 { return time.Now().UnixMicro() }, Logger: slog.New(slog.DiscardHandler),
		})
	}
	for how, ends := range map[string]func(*lease.Lease){
		"crashes":  (*lease.Lease).Close,
		"releases": func(l *lease.Lease) { l.Release(context.Background()) },
	} {
		synctest.Test(t, func(t *testing.T) {
			registers := []eventlog.Claims{eventlog.NewClaims(), eventlog.NewClaims(), eventlog.NewClaims()}
			first := start(registers, "a:7000")
			defer first.Close()
			if err := alone(t.Context(), first, "house"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
			second := start(registers, "b:7000")
			served := Served{}
			if err := alone(t.Context(), second, "house"); !errors.As(err, &served) || served != (Served{"house", "a:7000"}) {
				t.Errorf("beside another: %v", err)
			}
			second.Close()
			ends(first)
			began := time.Now()
			third := start(registers, "c:7000")
			defer third.Close()
			if err := alone(t.Context(), third, "house"); err != nil {
				t.Errorf("after one that %s: %v", how, err)
			}
			if took := time.Since(began); took > 2*soleLease || how == "releases" && took > soleLease/10 {
				t.Errorf("after one that %s it takes %v", how, took)
			}
		})
	}
}
