package jetstream

import "sort"

// maxPlaces bounds how many places are remembered.
const maxPlaces = 1024

// place says that the message seq begins with event first.
type place struct{ first, seq uint64 }

// span is a part of the stream, both ends included.
type span struct{ from, to uint64 }

// places are some of the stream's messages, in order, so that an event is found with few questions.
type places []place

// around returns the last place that begins with event seq or one before, the zero value if none is known, and where
// the first is that begins behind it, 0 if none is known.
func (p places) around(seq uint64) (at place, behind uint64) {
	i := sort.Search(len(p), func(i int) bool { return p[i].first > seq })
	if i > 0 {
		at = p[i-1]
	}
	if i < len(p) {
		behind = p[i].seq
	}
	return at, behind
}

// add notes a place. If there are too many, every second one goes.
func (p *places) add(first, seq uint64) {
	all := *p
	i := sort.Search(len(all), func(i int) bool { return all[i].seq >= seq })
	if i < len(all) && all[i].seq == seq || i > 0 && all[i-1].first > first || i < len(all) && all[i].first < first {
		return // known, or of an append that was never finished
	}
	if len(all) >= maxPlaces {
		for k := range len(all) / 2 {
			all[k] = all[2*k]
		}
		*p = all[:len(all)/2]
		p.add(first, seq)
		return
	}
	all = append(all, place{})
	copy(all[i+1:], all[i:])
	all[i] = place{first, seq}
	*p = all
}
