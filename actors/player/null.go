package player

import (
	"context"
	"time"
)

// maxCatchUp is how late a paced output may be and still catch up, because the line remembers no longer. After a
// longer stop of the process the deck jumps. Then the output leaves the missed time out, as a device
// does; otherwise the silence would be counted twice.
const maxCatchUp = lineBuckets * lineBucketUs * time.Microsecond * 9 / 10

// null takes frames at the speed of the sound and drops them.
type null struct{}

func (null) Name() string           { return "null" }
func (null) Latency() time.Duration { return 0 }

func (null) Run(ctx context.Context, feed Feed) error {
	return pace(ctx, feed, func([]byte) {})
}

// pace pulls 10 ms from feed every 10 ms and passes them to take, which must not keep
// them. The schedule is absolute: a late wake-up delays one block, not all that follow.
func pace(ctx context.Context, feed Feed, take func([]byte)) error {
	const block = 10 * time.Millisecond
	timer := time.NewTimer(0)
	defer timer.Stop()
	buf := make([]byte, blockFrames*bytesPerFrame)
	for due := time.Now(); ; due = due.Add(block) {
		if late := time.Since(due); late > maxCatchUp {
			due = time.Now()
		} else if late < 0 {
			timer.Reset(-late)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		feed.Fill(buf, 0)
		take(buf)
	}
}
