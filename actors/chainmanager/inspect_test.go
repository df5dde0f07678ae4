package chainmanager

import (
	"crypto/ed25519"
	"testing"
	"time"

	"conga/actors/internal/seal"
	"conga/messages"
)

var broadcastKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

// broadcast is a sealed song whose first chunk, number 8, is to be heard at that time.
func broadcast(t *testing.T, playAt time.Time, chunks int) (change *messages.Item, items []*messages.Item) {
	t.Helper()
	change, err := messages.NewSongChange(&messages.SongChange{
		Number: 7, Song: "bach.mp3", SampleRate: 44100, Frames: 4000, FramesPerChunk: 4, PlayAtUnixUs: playAt.UnixMicro(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range chunks {
		items = append(items, messages.NewChunk(8+uint64(n), int64(4*n), []byte{byte(n), 1, 2, 3}))
	}
	for first := 0; first < chunks; first += messages.SealItems {
		seal.Sign(broadcastKey, 3, change, items[first:min(chunks, first+messages.SealItems)])
	}
	return change, items
}

// behaviour is a node that the server looks at: what it does with the next chunk, n seconds after the beginning.
type behaviour func(n int, late time.Duration, item *messages.Item) (time.Duration, *messages.Item)

func honestly(_ int, late time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
	return late, item
}

// What the server finds when it looks at a node.
func TestInspection(t *testing.T) {
	for _, c := range []struct {
		name string
		node behaviour
		want finding
		is   messages.Fault
	}{
		{"does its part", honestly, sound, messages.Fault_FAULT_UNSPECIFIED},
		{"deep down the chain", func(n int, _ time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
			return 900 * time.Millisecond, item
		}, sound, messages.Fault_FAULT_UNSPECIFIED},
		{"alters one", func(n int, late time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
			if n == 20 {
				item = messages.NewChunk(item.Number, item.FirstFrame, []byte("a tone"))
			}
			return late, item
		}, atFault, messages.Fault_FAULT_LYING},
		{"says one twice", func(n int, late time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
			if n == 20 {
				item = messages.NewChunk(item.Number-1, item.FirstFrame-4, []byte{byte(n - 1), 1, 2, 3})
			}
			return late, item
		}, atFault, messages.Fault_FAULT_LYING},
		{"leaves one out", func(n int, late time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
			if n == 20 {
				item = nil
			}
			return late, item
		}, atFault, messages.Fault_FAULT_SKIPPING},
		{"stops", func(n int, late time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
			if n >= 20 {
				item = nil
			}
			return late, item
		}, atFault, messages.Fault_FAULT_STARVING},
		{"never sends", func(_ int, late time.Duration, _ *messages.Item) (time.Duration, *messages.Item) {
			return late, nil
		}, atFault, messages.Fault_FAULT_STARVING},
		{"is slow from the first word on", func(n int, late time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
			return late + time.Duration(n)*50*time.Millisecond, item
		}, atFault, messages.Fault_FAULT_SLOW},
		{"delays all by as much", func(_ int, _ time.Duration, item *messages.Item) (time.Duration, *messages.Item) {
			return 1900 * time.Millisecond, item
		}, atFault, messages.Fault_FAULT_SLOW},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Unix(1000, 0)
			change, items := broadcast(t, began.Add(messages.JoinAhead), 80)
			i := newInspection(broadcastKey.Public().(ed25519.PublicKey), began)
			i.answered()
			found := watched(i, began, change, items, c.node)
			if found != c.want || i.fault != c.is {
				t.Errorf("found %d, %v (%s); want %d, %v", found, i.fault, i.reason, c.want, c.is)
			}
		})
	}
}

// What was heard an hour ago has good seals, too.
func TestInspection_OldMusic(t *testing.T) {
	began := time.Unix(10_000, 0)
	change, items := broadcast(t, began.Add(-time.Hour), 80)
	i := newInspection(broadcastKey.Public().(ed25519.PublicKey), began)
	i.answered()
	if found := watched(i, began, change, items, honestly); found != atFault || i.fault != messages.Fault_FAULT_SLOW {
		t.Errorf("found %d, %v", found, i.fault)
	}
}

// watched lets the node send, and returns what was found.
func watched(i *inspection, began time.Time, change *messages.Item, items []*messages.Item, node behaviour) finding {
	sent := messages.JoinAhead - messages.Slack // when the server sent the first, after the beginning
	every := messages.FrameOffset(4, 44100)
	var vouched *messages.Seal
	found := looking
	for n := 0; found == looking && n < len(items); n++ {
		// It was sent before somebody came who wants it, and then comes at once.
		late, item := node(n, 20*time.Millisecond, items[n])
		now := began.Add(max(sent+time.Duration(n)*every+late, time.Duration(n)*time.Millisecond))
		if item != nil && items[n].Seal != vouched {
			vouched = items[n].Seal
			found = i.sealed(vouched)
			if n == 0 && found == looking {
				found = i.took(change, now)
			}
		}
		if item != nil && found == looking {
			found = i.took(item, now)
		}
		if found == looking {
			found = i.look(now, uint64(n))
		}
	}
	return found
}

// looks looks until so long after the beginning, or until it finds something.
func (i *inspection) looks(long time.Duration, sent uint64) (found finding) {
	for at := auditGlance; found == looking && at <= long; at += auditGlance {
		found = i.look(i.began.Add(at), sent)
	}
	return found
}

// Nobody is blamed for what says nothing of it.
func TestInspection_Undecided(t *testing.T) {
	began := time.Unix(1000, 0)
	for _, c := range []struct {
		name string
		say  func(i *inspection) finding
		want finding
	}{
		{"it refuses", func(i *inspection) finding { return i.left(messages.Fault_FAULT_UNSPECIFIED, "full") }, nothing},
		{"nobody is there", func(i *inspection) finding { return i.left(messages.Fault_FAULT_GONE, "refused") }, atFault},
		{"it says nothing", func(i *inspection) finding { return i.left(messages.Fault_FAULT_SILENT, "silent for 1s") }, atFault},
		{"nothing is on the air", func(i *inspection) finding { i.answered(); return i.looks(auditTakes, 0) }, nothing},
		{"it takes its time to answer", func(i *inspection) finding { return i.looks(auditStarves, 100) }, looking},
		{"it sends nothing", func(i *inspection) finding { i.answered(); return i.looks(auditStarves, 100) }, atFault},
		{"the server stood still", func(i *inspection) finding { i.answered(); return i.look(began.Add(auditStarves), 100) }, nothing},
		{"another server's seal", func(i *inspection) finding {
			_, items := broadcast(t, began, 16)
			i.key = make(ed25519.PublicKey, ed25519.PublicKeySize)
			return i.sealed(items[0].Seal)
		}, atFault},
		{"it goes after a while", func(i *inspection) finding {
			change, items := broadcast(t, began, 16)
			_, _, _ = i.sealed(items[0].Seal), i.took(change, began), i.took(items[0], began)
			return i.left(messages.Fault_FAULT_GONE, "closed")
		}, nothing},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := newInspection(broadcastKey.Public().(ed25519.PublicKey), began)
			if got := c.say(i); got != c.want {
				t.Errorf("found %d (%s), want %d", got, i.reason, c.want)
			}
		})
	}
}
