package eventlog

import (
	"bytes"
	"fmt"
)

// Chain checks that events are a log: numbers without a gap, each hash over the event and the
// hash before, whole commits.
type Chain struct {
	at      Mark
	left    int // events that the last commit still lacks, or unknown
	scratch []byte
}

// unknown is what a commit lacks that began before the chain.
const unknown = -1

// ChainFrom begins behind from, where a commit ends.
func ChainFrom(from Mark) *Chain { return &Chain{at: from} }

// Add takes the next event; a *Damage says why it cannot be that.
func (c *Chain) Add(row *Row) error {
	if row.Seq != c.at.Seq+1 {
		return &Damage{c.at.Seq + 1, fmt.Sprintf("it is missing, event %d follows", row.Seq)}
	}
	var hash []byte
	if hash, c.scratch = HashOf(c.at.Hash, row, c.scratch); !bytes.Equal(hash, row.Hash) {
		return &Damage{row.Seq, "it does not match its hash"}
	}
	begins := row.Of != 0
	if row.Of < 0 || row.Of > maxCommit || c.left != unknown && begins != c.Whole() {
		return &Damage{row.Seq, "it does not fit into its commit"}
	}
	if begins {
		c.left = row.Of
	}
	if c.left != unknown {
		c.left--
	}
	c.at = row.Mark()
	return nil
}

// At is the place behind the last event.
func (c *Chain) At() Mark { return c.at }

// Whole says whether a commit ends there.
func (c *Chain) Whole() bool { return c.left == 0 }

// End is a *Damage if the last commit is not whole.
func (c *Chain) End() error {
	if c.left > 0 {
		return &Damage{c.at.Seq + 1, "it is missing: the commit before it is not whole"}
	}
	return nil
}

// commits are the first whole commits of rows: a page of them, or one that is longer.
func commits(rows []Row) []Row {
	for i := range rows {
		if i >= page && rows[i].Of > 0 {
			return rows[:i:i]
		}
	}
	return rows[:len(rows):len(rows)]
}
