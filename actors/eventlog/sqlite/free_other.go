//go:build !linux && !darwin

package sqlite

import "errors"

// freeBytes is not known here: who wants to know must try to write.
func freeBytes(string) (int64, error) { return 0, errors.ErrUnsupported }
