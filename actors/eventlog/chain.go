package eventlog

import (
	"bytes"
	"fmt"
)

// Chain checks rows in order: their numbers have no gap, each hash covers the event and the hash
// before it, and commits are whole.
type Chain struct {
	at      Mark
	left    int // events that the last commit still lacks, or unknown
	scratch []byte
}

// unknown is the value of left for a commit that began before the chain.
const unknown = -1

// ChainFrom returns a Chain that begins behind from, where a commit must end.
func ChainFrom(from Mark) *Chain { return &Chain{at: from} }

// Add checks that row is the next event; the error is a *Damage if it is not.
func (c *Chain) Add(row *Row) error {
	if row.Seq != c.at.Seq+1 {
		return &Damage{c.at.Seq + 1, fmt.Sprintf("it is missing, event %d follows", row.Seq)}
	}
	sum, scratch := sumOf(c.at.Hash, row, c.scratch)
	if c.scratch = scratch; !bytes.Equal(sum[:], row.Hash) {
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

// At returns the place behind the last event that was added.
func (c *Chain) At() Mark { return c.at }

// Whole reports whether a commit ends at At.
func (c *Chain) Whole() bool { return c.left == 0 }

// End returns a *Damage if the last commit is incomplete.
func (c *Chain) End() error {
	if c.left > 0 {
		return &Damage{c.at.Seq + 1, "it is missing: the commit before it is not whole"}
	}
	return nil
}

// commits returns the first commits of rows: at least a page of rows if there are so many, and never a
// part of a commit.
func commits(rows []Row) []Row {
	for i := range rows {
		if i >= page && rows[i].Of > 0 {
			return rows[:i:i]
		}
	}
	return rows[:len(rows):len(rows)]
}
