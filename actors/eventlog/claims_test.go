package eventlog_test

import (
	"testing"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
)

func TestClaims_Contract(t *testing.T) {
	register := eventlog.NewClaims()
	storetest.Claims(t, func(testing.TB) eventlog.Claims { return register })
}
