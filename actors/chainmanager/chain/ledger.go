package chain

import "maps"

// Account is what a State remembers of an id or an address, even while it is not in the chain.
type Account struct {
	// Moved is the id that its accusation has moved, until that proves right.
	Moved   string `json:"moved,omitempty"`
	MovedAt int64  `json:"movedAtUnixUs,omitempty"`
	// Refuted counts how often in a row it was wrong.
	Refuted   int   `json:"refuted,omitempty"`
	RefutedAt int64 `json:"refutedAtUnixUs,omitempty"`
	// Convicted counts its verdicts. ConvictedAt is 0 when the last one is over.
	Convicted   int   `json:"convicted,omitempty"`
	ConvictedAt int64 `json:"convictedAtUnixUs,omitempty"`
}

// Ledger has the accounts of ids, and of addresses under their Household names.
type Ledger map[string]Account

// withoutOldest removes the least recently used account, if possible not one with a verdict.
func (l Ledger) withoutOldest() {
	oldest := ""
	for name, a := range l {
		o := l[oldest]
		if oldest == "" || (a.ConvictedAt > 0) != (o.ConvictedAt > 0) && a.ConvictedAt == 0 ||
			(a.ConvictedAt > 0) == (o.ConvictedAt > 0) && (a.newest() < o.newest() || a.newest() == o.newest() && name < oldest) {
			oldest = name
		}
	}
	delete(l, oldest)
}

func (a Account) newest() int64 { return max(a.MovedAt, a.RefutedAt, a.ConvictedAt) }

// distrusted reports whether its accusations do not count.
func (a Account) distrusted(at int64) bool {
	return a.Refuted > 0 && at-a.RefutedAt < distrustTime<<min(a.Refuted-1, doublings)
}

// verdictEnds returns when a convicted node may feed again, in unix microseconds.
func (a Account) verdictEnds() int64 {
	return a.ConvictedAt + verdictTime<<min(max(a.Convicted-1, 0), doublings)
}

// Household returns the name under which the ledger has an address.
func Household(address string) string { return "@" + address }

// refute records that it was wrong at that time.
func (a *Account) refute(at int64) {
	if at-a.RefutedAt >= forgiveTime {
		a.Refuted = 0
	}
	a.Refuted, a.RefutedAt = a.Refuted+1, at
}

// right records that its accusation of id was true.
func (a *Account) right(id string) {
	if a.Moved == id {
		a.Moved, a.MovedAt = "", 0
	}
	a.Refuted, a.RefutedAt = 0, 0
}

// proved returns the state after those proved right whose accusations have moved id since then.
func (s State) proved(id string, since int64) State {
	for name, a := range s.Ledger { // the old map stays as it is: book makes new ones
		if a.Moved == id && a.MovedAt >= since {
			s = s.book(name, func(a *Account) { a.right(id) })
		}
	}
	return s
}

// book changes the account of an id or an address.
func (s State) book(name string, change func(*Account)) State {
	a := s.Ledger[name]
	change(&a)
	s.Ledger = maps.Clone(s.Ledger)
	if a == (Account{}) {
		delete(s.Ledger, name)
		return s
	}
	if s.Ledger == nil {
		s.Ledger = Ledger{}
	}
	s.Ledger[name] = a
	if len(s.Ledger) > maxAccounts {
		s.Ledger.withoutOldest()
	}
	return s
}
