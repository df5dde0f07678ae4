//go:build !linux && !darwin && !windows

package space

import "errors"

// Free returns errors.ErrUnsupported: on these systems only a failed write tells.
func Free(string) (int64, error) { return 0, errors.ErrUnsupported }
