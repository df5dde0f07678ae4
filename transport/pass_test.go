package transport

import (
	"bufio"
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

var testPass = Pass("thirty-two bytes of who belongs.")

const (
	testNowUs = int64(1_800_000_000_000_000)
	minuteUs  = int64(time.Minute / time.Microsecond)
)

// openingOf is amy's HI to the node.
func openingOf(to string, atUs int64) *messages.OpenStream {
	return &messages.OpenStream{
		Version: messages.DialectVersion, Node: &messages.Node{Id: amyID, Name: "amy"}, Upstream: to, PlayAtUnixUs: atUs,
	}
}

// casesPass are ways to be, or not to be, a member in the eyes of the server.
var casesPass = []struct {
	name   string
	pass   Pass // of who asks
	change func(*messages.OpenStream)
	member bool
}{
	{name: "member", pass: testPass, member: true},
	{name: "member who will need it in a while", pass: testPass, member: true, change: func(o *messages.OpenStream) { o.Next = 7 }},
	{name: "clock half a minute ahead", pass: testPass, member: true, change: func(o *messages.OpenStream) {
		o.PlayAtUnixUs += minuteUs / 2
		testPass.sign(o)
	}},
	{name: "stranger"},
	{name: "another pass", pass: Pass("of another broadcast")},
	{name: "another's words", pass: testPass, change: func(o *messages.OpenStream) { o.Node.Id = bobID }},
	{name: "words to another node", pass: testPass, change: func(o *messages.OpenStream) {
		o.Upstream = bobID
		testPass.sign(o)
	}},
	{name: "words of yesterday", pass: testPass, change: func(o *messages.OpenStream) {
		o.PlayAtUnixUs -= 24 * 60 * minuteUs
		testPass.sign(o)
	}},
	{name: "words of tomorrow", pass: testPass, change: func(o *messages.OpenStream) {
		o.PlayAtUnixUs += 24 * 60 * minuteUs
		testPass.sign(o)
	}},
	{name: "time changed", pass: testPass, change: func(o *messages.OpenStream) { o.PlayAtUnixUs++ }},
	{name: "an offer's words", pass: testPass, change: func(o *messages.OpenStream) {
		offer := &messages.OfferStream{Node: o.GetNode(), AtUnixUs: o.GetPlayAtUnixUs()}
		testPass.signOffer(offer, messages.ServerID)
		o.Proof = offer.GetProof()
	}},
	{name: "half a proof", pass: testPass, change: func(o *messages.OpenStream) { o.Proof = o.Proof[:16] }},
}

func TestStreams_Pass(t *testing.T) {
	for _, c := range casesPass {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t)
			house := openStreams(t, l, func(s *StreamsConfig) {
				s.Pass = func() (Pass, error) { return testPass, nil }
				s.ServerNow = func() int64 { return testNowUs }
			})
			open := openingOf(messages.ServerID, testNowUs)
			c.pass.sign(open)
			if c.change != nil {
				c.change(open)
			}
			conn := dial(t, l)
			send(t, conn, mustFrame(t, messages.KindHi, open))
			answer := unmarshal(t, readFrame(t, bufio.NewReader(conn), messages.KindHi).Payload, &messages.StreamOpened{})
			want := ""
			if !c.member {
				want = errStranger.Error()
			}
			if answer.GetRefused() != want {
				t.Errorf("refused: %q, want %q", answer.GetRefused(), want)
			}
			if c.member {
				await[*messages.DownstreamOpened](t, house.told)
				return
			}
			ends(t, conn)
			if len(house.told) > 0 {
				t.Errorf("the owner heard %v", <-house.told)
			}
		})
	}
}

// Both ends together; also where the listener's clock is behind, and before it has joined.
func TestUpstream_Pass(t *testing.T) {
	for name, c := range map[string]struct {
		pass func() (Pass, error)
		want string
	}{
		"member":   {func() (Pass, error) { return testPass, nil }, ""},
		"stranger": {nil, "refused: " + errStranger.Error()},
		"not yet":  {func() (Pass, error) { return nil, errNotYet }, errNotYet.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			openStreams(t, l, func(s *StreamsConfig) { s.Pass = func() (Pass, error) { return testPass, nil } })
			open := openingOf(messages.ServerID, time.Now().UnixMicro())
			_, told := child(t, newSystem(t), Upstream(UpstreamConfig{Link: 1, Addr: l.Addr().String(), Open: open, Pass: c.pass}))
			if c.want == "" {
				await[*messages.UpstreamOpened](t, told)
			} else if closed := await[*messages.UpstreamClosed](t, told); closed.Reason != c.want {
				t.Errorf("closed: %s, want %s", closed.Reason, c.want)
			}
			if open.GetProof() != nil {
				t.Error("the caller's opening was changed")
			}
		})
	}
}

// A node that does not know yet whether there is a pass serves nobody; a seed client is
// not spoken to where there is one.
func TestStreams_Closed(t *testing.T) {
	for name, pass := range map[string]func() (Pass, error){
		"not yet": func() (Pass, error) { return nil, errNotYet },
		"members": func() (Pass, error) { return testPass, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				openStreams(t, l, func(s *StreamsConfig) {
					s.Pass = pass
					s.Seed = func(context.Context, *Stranger) { t.Error("a seed client was let in") }
				})
				ends(t, &patient{l.dial(t)}) // it waits to be spoken to
				conn := l.dial(t)
				send(t, conn, hiOf(t, 0))
				answer := unmarshal(t, readFrame(t, bufio.NewReader(conn), messages.KindHi).Payload, &messages.StreamOpened{})
				if answer.GetRefused() == "" {
					t.Error("a stranger was let in")
				}
			})
		})
	}
}

// Only a member's offer is taken: what answers it holds a proof.
func TestStreams_OfferPass(t *testing.T) {
	for name, c := range map[string]struct {
		pass  Pass
		to    string
		atUs  int64
		taken bool
	}{
		"member":           {testPass, bobID, testNowUs, true},
		"stranger":         {nil, bobID, testNowUs, false},
		"to another":       {testPass, messages.ServerID, testNowUs, false},
		"of an hour ago":   {testPass, bobID, testNowUs - 60*minuteUs, false},
		"of an hour later": {testPass, bobID, testNowUs + 60*minuteUs, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			taken := make(chan net.Conn, 1)
			openStreams(t, l, func(s *StreamsConfig) {
				s.Self = func() *messages.Node { return &messages.Node{Id: bobID} }
				s.Pass = func() (Pass, error) { return testPass, nil }
				s.ServerNow = func() int64 { return testNowUs }
				s.Offered = func(_ *messages.Node, conn net.Conn) bool { taken <- conn; return true }
			})
			offer := &messages.OfferStream{Version: messages.DialectVersion, Node: &messages.Node{Id: amyID}, AtUnixUs: c.atUs}
			c.pass.signOffer(offer, c.to)
			conn := dial(t, l)
			send(t, conn, mustFrame(t, messages.KindOffer, offer))
			if c.taken {
				_ = (<-taken).Close()
			}
			ends(t, conn)
			if len(taken) > 0 {
				t.Error("the offer was taken")
			}
		})
	}
}

// An offer that this node makes carries its proof.
func TestStreams_MakesOffer(t *testing.T) {
	l, theirs := listen(t), listen(t)
	house := openStreams(t, l, func(s *StreamsConfig) {
		s.Pass = func() (Pass, error) { return testPass, nil }
		s.ServerNow = func() int64 { return testNowUs }
	})
	house.system.Root.Send(house.pid, &messages.OfferMusic{To: &messages.Node{Id: bobID, Relay: theirs.Addr().String()}})
	conn, err := theirs.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	offer := unmarshal(t, readFrame(t, bufio.NewReader(conn), messages.KindOffer).Payload, &messages.OfferStream{})
	if err := testPass.checkOffer(offer, bobID, testNowUs); err != nil {
		t.Errorf("offer %v: %v", offer, err)
	}
}

// No bytes make a stranger a member.
func FuzzOpening(f *testing.F) {
	for _, c := range casesPass {
		f.Add(amyID, messages.ServerID, testNowUs, []byte(c.name))
	}
	f.Fuzz(func(t *testing.T, from, to string, atUs int64, proof []byte) {
		open := &messages.OpenStream{Node: &messages.Node{Id: from}, Upstream: to, PlayAtUnixUs: atUs, Proof: proof}
		if testPass.check(open, messages.ServerID, testNowUs) == nil {
			t.Error("let in")
		}
		testPass.sign(open) // a member's words count only for whom and when they were said
		recent := atUs >= testNowUs-minuteUs && atUs <= testNowUs+minuteUs
		if err := testPass.check(open, to, testNowUs); (err == nil) != recent {
			t.Errorf("a member at %d: %v", atUs-testNowUs, err)
		}
	})
}
