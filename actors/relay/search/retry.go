package search

import "time"

// These are the waits between searches that found nobody: from firstRetry to QuickRetry, while a
// restarted server can still be found within the slack; after QuickRetries of them, up to LastRetry.
const (
	firstRetry   = 20 * time.Millisecond
	QuickRetry   = 120 * time.Millisecond
	QuickRetries = 28 // some 3 s
	LastRetry    = 1600 * time.Millisecond
)

// RetryAfter is the wait behind so many searches in a row that found nobody.
func RetryAfter(searches uint32) time.Duration {
	switch {
	case searches <= 5:
		return min(firstRetry<<max(int(searches)-1, 0), QuickRetry)
	case searches > QuickRetries:
		return min(QuickRetry<<min(searches-QuickRetries, 10), LastRetry)
	}
	return QuickRetry
}
