package transport

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"net"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"conga/messages"
)

// An id is a uuid that follows from the key and never changes.
func TestIdentity_ID(t *testing.T) {
	id, err := uuid.Parse(amyID)
	if err != nil || id.Version() != 8 || id.Variant() != uuid.RFC4122 || !goodID(amyID) {
		t.Errorf("%s: version %d, variant %v, %v", amyID, id.Version(), id.Variant(), err)
	}
	if want := "de77781e-fe05-8ac3-a204-474b37b53a2f"; amyID != want {
		t.Errorf("the id of the same key was %s, is %s: nobody would know its listeners again", want, amyID)
	}
	if one, other := NewIdentity(), NewIdentity(); one.ID() == other.ID() {
		t.Error("two listeners are one")
	}
	if key := ownKey(amy.node(&messages.Node{Id: bobID, Name: "x"})); !key.Equal(publicOf(amy.key)) {
		t.Error("a node does not have its own key")
	}
}

// Different lists of parts and different uses give different bytes. Otherwise a signature could be used
// for another statement.
func TestStatement_Distinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		uses := rapid.SampledFrom([]string{useHello, useOpen, useOffer, useIdentity, "pass " + useOpen, "pass " + useOffer})
		parts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 3), 0, 4)
		use, other := uses.Draw(t, "use"), uses.Draw(t, "other use")
		one, two := parts.Draw(t, "parts"), parts.Draw(t, "other parts")
		same := use == other && len(one) == len(two)
		for i := 0; same && i < len(one); i++ {
			same = bytes.Equal(one[i], two[i])
		}
		if bytes.Equal(statement(use, one...), statement(other, two...)) != same {
			t.Errorf("%s %q and %s %q", use, one, other, two)
		}
	})
}

// A HELLO counts only from the owner of the id's key, and on the connection that it was made for.
func TestRequests_Identity(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, nil)
	overheard := secure(t, dial(t, l), amy).Introduce(&messages.Hello{Version: 1})
	for name, change := range map[string]func(*messages.Hello){
		"another's id": func(h *messages.Hello) { h.Node.Id = bobID },
		"another's id and key": func(h *messages.Hello) {
			h.Node = bob.node(h.GetNode())
		},
		"no key":            func(h *messages.Hello) { h.Node.Key = nil },
		"no signature":      func(h *messages.Hello) { h.Signature = nil },
		"overheard":         func(h *messages.Hello) { h.Signature = overheard.GetSignature() },
		"for another use":   func(h *messages.Hello) { h.Signature = amy.sign(useIdentity, []byte("x")) },
		"the server's name": func(h *messages.Hello) { h.Node.Id = messages.ServerID },
	} {
		t.Run(name, func(t *testing.T) {
			conn := secure(t, dial(t, l), amy)
			hello := conn.Introduce(&messages.Hello{Version: 1})
			change(hello)
			sayLine(t, conn, hello)
			refused := readLine[*messages.Refused](t, bufio.NewReader(conn))
			if r := refused.GetReason(); r != errForged.Error() && (name != "the server's name" || r != errID.Error()) {
				t.Errorf("refused: %s", r)
			}
			if len(house.chain) > 0 {
				t.Errorf("the chain heard %v", <-house.chain)
			}
		})
	}
	join(t, house, dial(t, l), amy)
}

// A relay's port says whose it is, to whoever asks, and for one nonce.
func TestStreams_Identity(t *testing.T) {
	l := listen(t)
	openStreams(t, l, func(s *StreamsConfig) { s.Identity = amy })
	if err := askIdentity(dial(t, l), publicOf(amy.key)); err != nil {
		t.Error(err)
	}
	if err := askIdentity(dial(t, l), publicOf(bob.key)); err == nil {
		t.Error("amy's port is bob's")
	}
	silent := listen(t)
	openStreams(t, silent, nil) // a server's: it has no such key
	if err := askIdentity(dial(t, silent), publicOf(amy.key)); err == nil {
		t.Error("a port without a key is amy's")
	}
	old := proveIdentity(amy, &messages.AskIdentity{Nonce: nonce()})
	if proves(old, publicOf(amy.key), nonce()) {
		t.Error("an old answer is good for another nonce")
	}
	for name, answer := range map[string]string{"nothing": "", "garbage": "SSH-2.0-x\r\n", "another frame": "HB0   ", "no proof": "ID0   "} {
		here, there := net.Pipe()
		go func() {
			_, _ = ReadFrame(bufio.NewReader(there))
			_, _ = there.Write([]byte(answer))
			_ = there.Close()
		}()
		if err := askIdentity(here, publicOf(amy.key)); err == nil {
			t.Errorf("%s is a proof", name)
		}
	}
}

// A request counts once, and is remembered until it is too old to count at all. If a node sends too many,
// none is forgotten.
func TestRecord_Hear(t *testing.T) {
	r, now := newRecord(), testNowUs
	first := nonce()
	if err := r.hear(first, now, now); err != nil {
		t.Fatal(err)
	}
	for i := range maxSaid + 10 {
		err := r.hear(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)), now, now)
		if (err == nil) != (i < maxSaid-1) {
			t.Fatalf("HI number %d: %v", i+2, err)
		}
	}
	if err := r.hear(first, now, now+minuteUs); err == nil {
		t.Error("said again, and good again, at the end of its minute")
	}
	if len(r.words) > maxSaid {
		t.Errorf("%d are remembered", len(r.words))
	}
	if err := r.hear(nonce(), now+2*minuteUs, now+2*minuteUs); err != nil || len(r.words) != 1 {
		t.Errorf("later: %v; %d remembered", err, len(r.words))
	}
	// A clock ahead makes words last longer: they are remembered for as long.
	r.hear(first, now+3*minuteUs, now+2*minuteUs)
	if err := r.hear(first, now+3*minuteUs, now+4*minuteUs); err == nil {
		t.Error("words from a clock that is ahead count twice")
	}
}

// No bytes make a stranger a member, and a member's signature counts only for what was signed.
func FuzzHi(f *testing.F) {
	for _, c := range casesHi {
		f.Add(amyID, messages.ServerID, testNowUs, []byte(c.name), []byte(c.name))
	}
	f.Fuzz(func(t *testing.T, from, to string, atUs int64, chance, signature []byte) {
		open := &messages.OpenStream{
			Node: &messages.Node{Id: from, Key: publicOf(amy.key)}, Upstream: to, AtUnixUs: atUs, Nonce: chance, Signature: signature,
		}
		if askingOf(open).genuine(publicOf(amy.key)) == nil {
			t.Error("let in")
		}
		amy.SignOpen(open, atUs)
		if err := askingOf(open).genuine(publicOf(amy.key)); err != nil {
			t.Error(err)
		}
		recent := atUs >= testNowUs-minuteUs && atUs <= testNowUs+minuteUs
		if err := askingOf(open).timely(to, testNowUs); (err == nil) != recent {
			t.Errorf("at %d: %v", atUs-testNowUs, err)
		}
		open.Upstream += "x"
		if askingOf(open).genuine(publicOf(amy.key)) == nil {
			t.Error("said to another")
		}
	})
}

func BenchmarkHi(b *testing.B) {
	open := sayHi(nil, messages.ServerID, testNowUs)
	words, key := askingOf(open), ed25519.PublicKey(open.GetNode().GetKey())
	b.Run("sign", func(b *testing.B) {
		for b.Loop() {
			amy.SignOpen(open, testNowUs)
		}
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if words.genuine(key) != nil {
				b.Fatal("forged")
			}
		}
	})
}
