//go:build !linux && !darwin

package sqlite

import "errors"

// freeBytes returns errors.ErrUnsupported: on these systems only a write tells.
func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
