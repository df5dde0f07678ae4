package transport

import (
	"iter"
	"strings"
	"sync/atomic"

	"conga/messages"
)

// Counters are shared by all connections of a node.
type Counters struct {
	Bytes  atomic.Int64 // written on stream connections, everything included
	Chunks atomic.Int64 // chunks written on stream connections
	Cut    atomic.Int64 // stream and request connections closed because the peer did not read

	refused [refusals]atomic.Int64
	queued  atomic.Int64
	vain    [reasons]atomic.Int64 // requests that were refused
}

// Refusal is why somebody was not let in, or had to go, as the operator counts it: whatever peers say, there are no
// more of them.
type Refusal int

// The reasons.
const (
	RefusedAddress  Refusal = iota // its address has as many connections as it may
	RefusedPlace                   // others needed its place more
	RefusedToken                   // it does not know the token
	RefusedIdentity                // it does not prove who it is, or where it can be reached
	RefusedCopy                    // another process has its identity
	RefusedPace                    // it or its address comes and goes too often
	RefusedFull                    // there are as many listeners as there may be, or its address has had enough
	RefusedDisk                    // the server's disk is full or broken
	RefusedBusy                    // the server did not answer in time
	RefusedStranger                // the chain does not send it there
	RefusedStale                   // its request is too old, or was used before
	RefusedLeaving                 // the node is about to go
	RefusedStandby                 // another server of the radio leads
	RefusedOther
	refusals
)

var refusalNames = [refusals]string{
	"address", "place", "token", "identity", "copy", "pace", "full", "disk", "busy", "stranger", "stale", "leaving", "standby", "other",
}

func (r Refusal) String() string { return refusalNames[r] }

// Refuse counts one.
func (c *Counters) Refuse(why Refusal) { c.refused[why].Add(1) }

// Refused are all reasons, and how many were refused for each.
func (c *Counters) Refused() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for why := range refusals {
			if !yield(why.String(), c.refused[why].Load()) {
				return
			}
		}
	}
}

// reasons is more than PlayRefused has.
const reasons = 32

// requested counts a request for a song by its result; nil: the scheduler did not answer.
func (c *Counters) requested(answer any) {
	switch answer := answer.(type) {
	case *messages.SongQueued:
		c.queued.Add(1)
	case *messages.PlayRefused:
		c.vain[uint32(answer.GetReason())%reasons].Add(1)
	default:
		c.vain[messages.PlayRefused_REASON_UNSPECIFIED].Add(1)
	}
}

// Requested are how many requests were queued, and all reasons with how many were refused for each.
func (c *Counters) Requested() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		if !yield("queued", c.queued.Load()) {
			return
		}
		values := messages.PlayRefused_Reason(0).Descriptor().Values()
		for i := range min(values.Len(), reasons) {
			name := strings.ToLower(strings.TrimPrefix(string(values.Get(i).Name()), "REASON_"))
			if name == "unspecified" {
				name = "unanswered"
			}
			if !yield(name, c.vain[values.Get(i).Number()].Load()) {
				return
			}
		}
	}
}

// refusedAs counts what a stream port answers.
func refusedAs(answer messages.StreamOpened_Refusal) Refusal {
	switch answer {
	case messages.StreamOpened_REFUSAL_STRANGER:
		return RefusedStranger
	case messages.StreamOpened_REFUSAL_STALE:
		return RefusedStale
	case messages.StreamOpened_REFUSAL_FULL:
		return RefusedFull
	case messages.StreamOpened_REFUSAL_LEAVING:
		return RefusedLeaving
	}
	return RefusedOther
}
