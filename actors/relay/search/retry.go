package search

import "time"

// The waits between searches that found nobody grow from firstRetry to QuickRetry while a restarted
// server can still be found within the slack, and after QuickRetries of them up to LastRetry.
const (
	firstRetry   = 20 * time.Millisecond
	QuickRetry   = 120 * time.Millisecond
	QuickRetries = 28 // some 3 s
	LastRetry    = 1600 * time.Millisecond
)

// RetryAfter returns the wait after that many searches in a row that found nobody.
func RetryAfter(searches uint32) time.Duration {
	switch {
	case searches <= 5:
		return min(firstRetry<<max(int(searches)-1, 0), QuickRetry)
	case searches > QuickRetries:
		return min(QuickRetry<<min(searches-QuickRetries, 10), LastRetry)
	}
	return QuickRetry
}
