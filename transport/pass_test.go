package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"conga/messages"
)

var testPass = Pass("thirty-two bytes of who belongs.")

const (
	testNowUs = int64(1_800_000_000_000_000)
	minuteUs  = int64(time.Minute / time.Microsecond)
)

// hello of amy to the node, with her signature and the pass.
func sayHi(pass Pass, to string, atUs int64) *messages.OpenStream {
	open := &messages.OpenStream{Version: messages.DialectVersion, Node: &messages.Node{Name: "amy"}, Upstream: to}
	amy.SignOpen(open, atUs)
	open.Proof = pass.prove(askingOf(open))
	return open
}

// again renews the HI's signature and proof after a change.
func again(open *messages.OpenStream, who *Identity) {
	open.Signature = who.sign(useOpen, askingOf(open).parts()...)
	open.Proof = testPass.prove(askingOf(open))
}

// casesHi are ways to be, or not to be, a member who asks the server now.
var casesHi = []struct {
	name   string
	pass   Pass // of who asks
	change func(*messages.OpenStream)
	want   error
}{
	{name: "member", pass: testPass},
	{name: "who needs a number", pass: testPass, change: func(o *messages.OpenStream) { o.Next = 7 }},
	{name: "clock half a minute ahead", pass: testPass, change: func(o *messages.OpenStream) {
		o.AtUnixUs += minuteUs / 2
		again(o, amy)
	}},
	{name: "no pass", want: errStranger},
	{name: "another pass", pass: Pass("of another broadcast"), want: errStranger},
	{name: "half a pass", pass: testPass, want: errStranger, change: func(o *messages.OpenStream) { o.Proof = o.Proof[:16] }},
	{name: "another's id", pass: testPass, want: errForged, change: func(o *messages.OpenStream) {
		o.Node.Id = bobID
		again(o, amy)
	}},
	{name: "another's key", pass: testPass, want: errForged, change: func(o *messages.OpenStream) {
		o.Node = bob.node(nil)
		again(o, amy)
	}},
	{name: "no key", pass: testPass, want: errForged, change: func(o *messages.OpenStream) { o.Node.Key = nil }},
	{name: "half a key", pass: testPass, want: errForged, change: func(o *messages.OpenStream) { o.Node.Key = o.Node.Key[:31] }},
	{name: "no signature", pass: testPass, want: errForged, change: func(o *messages.OpenStream) { o.Signature = nil }},
	{name: "no nonce", pass: testPass, want: errForged, change: func(o *messages.OpenStream) {
		o.Nonce = nil
		again(o, amy)
	}},
	{name: "another nonce", pass: testPass, want: errForged, change: func(o *messages.OpenStream) {
		o.Nonce = nonce()
		o.Proof = testPass.prove(askingOf(o))
	}},
	{name: "to another node", pass: testPass, want: errNotMe, change: func(o *messages.OpenStream) {
		o.Upstream = bobID
		again(o, amy)
	}},
	{name: "passed on", pass: testPass, want: errForged, change: func(o *messages.OpenStream) {
		o.Upstream = bobID
		again(o, amy)
		o.Upstream = messages.ServerID
		o.Proof = testPass.prove(askingOf(o))
	}},
	{name: "yesterday", pass: testPass, want: errStale, change: func(o *messages.OpenStream) {
		o.AtUnixUs -= 24 * 60 * minuteUs
		again(o, amy)
	}},
	{name: "tomorrow", pass: testPass, want: errStale, change: func(o *messages.OpenStream) {
		o.AtUnixUs += 24 * 60 * minuteUs
		again(o, amy)
	}},
	{name: "time changed", pass: testPass, want: errForged, change: func(o *messages.OpenStream) {
		o.AtUnixUs++
		o.Proof = testPass.prove(askingOf(o))
	}},
	{name: "an offer's signature", pass: testPass, want: errForged, change: func(o *messages.OpenStream) {
		o.Signature = amy.sign(useOffer, askingOf(o).parts()...)
	}},
	{name: "an offer's pass", pass: testPass, want: errStranger, change: func(o *messages.OpenStream) {
		a := askingOf(o)
		a.use = useOffer
		o.Proof = testPass.prove(a)
	}},
	{name: "the server's name", pass: testPass, want: errID, change: func(o *messages.OpenStream) {
		o.Node.Id = messages.ServerID
		again(o, amy)
	}},
}

// A player's pass opens one node, until it ends; any other text opens none, and nobody makes one without the members' pass.
func TestPass_Player(t *testing.T) {
	now := time.UnixMicro(testNowUs)
	pass := testPass.forPlayer(amyID, now.Add(playerComes))
	for name, test := range map[string]struct {
		of   Pass
		node string
		said string
		at   time.Time
		want bool
	}{
		"now":                       {testPass, amyID, pass, now, true},
		"at another node":           {testPass, bobID, pass, now, false},
		"when it has ended":         {testPass, amyID, pass, now.Add(playerComes), false},
		"of another broadcast":      {Pass("of another broadcast"), amyID, pass, now, false},
		"nothing said":              {testPass, amyID, "", now, false},
		"where all may come":        {nil, amyID, "", now, true},
		"a pass that anybody makes": {testPass, amyID, Pass(nil).forPlayer(amyID, now.Add(playerComes)), now, false},
	} {
		if got := test.of.opens(test.node, test.said, test.at); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	good, _ := passText.DecodeString(pass)
	rapid.Check(t, func(t *rapid.T) {
		changed := []byte(pass)
		changed[rapid.IntRange(0, len(pass)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		body, _ := passText.DecodeString(string(changed)) // the last letter has bits that say nothing
		if string(body) != string(good) && testPass.opens(amyID, string(changed), now) {
			t.Fatalf("%q opens", changed)
		}
	})
}

// A node of a radio with a token plays for those whom the server has sent to it, and for nobody else.
func TestStreams_Players_Pass(t *testing.T) {
	l := listen(t)
	var joined atomic.Bool
	joined.Store(true)
	openStreams(t, l, func(s *StreamsConfig) {
		s.Pass = func() (Pass, error) {
			if !joined.Load() {
				return nil, errNotYet
			}
			return testPass, nil
		}
		s.ServerNow = func() int64 { return testNowUs }
		s.Self = func() *messages.Node { return &messages.Node{Id: amyID} }
		s.Players = 1
		s.Web = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "music") })
	})
	ask := func(pass string) (int, string) {
		t.Helper()
		conn := dial(t, l)
		defer conn.Close()
		_, _ = fmt.Fprintf(conn, "GET /stream.mp3?pass=%s HTTP/1.1\r\nHost: amy\r\nConnection: close\r\n\r\n", pass)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		return answer.StatusCode, string(body)
	}
	until := time.UnixMicro(testNowUs).Add(playerComes)
	if code, body := ask(testPass.forPlayer(amyID, until)); code != http.StatusOK || body != "music" {
		t.Errorf("sent here: %d %q", code, body)
	}
	for name, pass := range map[string]string{"without a pass": "", "sent to another": testPass.forPlayer(bobID, until)} {
		if code, body := ask(pass); code != http.StatusForbidden || !strings.Contains(body, "link for players") {
			t.Errorf("%s: %d %q", name, code, body)
		}
	}
	joined.Store(false)
	if code, _ := ask(testPass.forPlayer(amyID, until)); code != http.StatusServiceUnavailable {
		t.Errorf("before it knows whether there is a token: %d", code)
	}
}

func TestStreams_Hi(t *testing.T) {
	for _, c := range casesHi {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t)
			house := openStreams(t, l, func(s *StreamsConfig) {
				s.Pass = func() (Pass, error) { return testPass, nil }
				s.ServerNow = func() int64 { return testNowUs }
			})
			open := sayHi(c.pass, messages.ServerID, testNowUs)
			if c.change != nil {
				c.change(open)
			}
			conn := dial(t, l)
			send(t, conn, mustFrame(t, messages.KindHi, open))
			answer := unmarshal(t, readFrame(t, bufio.NewReader(conn), messages.KindHi).Payload, &messages.StreamOpened{})
			if c.want == nil {
				if answer.GetRefused() != "" {
					t.Fatalf("refused: %s", answer.GetRefused())
				}
				await[*messages.DownstreamOpened](t, house.told)
				return
			}
			if answer.GetRefused() != c.want.Error() || answer.GetRefusal() == messages.StreamOpened_REFUSAL_NONE {
				t.Errorf("refused: %v %q, want %q", answer.GetRefusal(), answer.GetRefused(), c.want)
			}
			ends(t, conn)
			if len(house.told) > 0 {
				t.Errorf("the owner heard %v", <-house.told)
			}
		})
	}
}

// Both ends together, also before the listener has joined.
func TestUpstream_Pass(t *testing.T) {
	for name, c := range map[string]struct {
		pass  func() (Pass, error)
		want  string
		fault messages.Fault
	}{
		"member":   {func() (Pass, error) { return testPass, nil }, "", 0},
		"stranger": {nil, "refused: " + errStranger.Error(), messages.Fault_FAULT_UNSPECIFIED}, // to refuse is none
		"not yet":  {func() (Pass, error) { return nil, errNotYet }, errNotYet.Error(), messages.Fault_FAULT_UNSPECIFIED},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			openStreams(t, l, func(s *StreamsConfig) { s.Pass = func() (Pass, error) { return testPass, nil } })
			open := &messages.OpenStream{Upstream: messages.ServerID}
			_, told := child(t, newSystem(t), Upstream(UpstreamConfig{Link: 1, Addr: l.Addr().String(), Open: open, Identity: amy, Pass: c.pass}))
			if c.want == "" {
				await[*messages.UpstreamOpened](t, told)
			} else if closed := await[*messages.UpstreamClosed](t, told); closed.Reason != c.want || closed.Fault != c.fault {
				t.Errorf("closed: %v %s, want %s", closed.Fault, closed.Reason, c.want)
			}
			if open.GetProof() != nil || open.GetSignature() != nil {
				t.Error("the caller's opening was changed")
			}
		})
	}
}

// A node that does not know yet whether there is a pass serves nobody. If there is one, a client of
// 2016 gets nothing.
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
					s.Seed = func(context.Context, *Stranger) bool { t.Error("a seed client was let in"); return true }
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

// Only a recent offer of a member above is accepted, and only once. The answer to it has a proof.
func TestStreams_Offer(t *testing.T) {
	for name, c := range map[string]struct {
		pass  Pass
		who   *Identity
		to    string
		atUs  int64
		taken bool
	}{
		"member above":     {testPass, amy, bobID, testNowUs, true},
		"member elsewhere": {testPass, IdentityOf(keyFrom(13)), bobID, testNowUs, false},
		"stranger":         {nil, amy, bobID, testNowUs, false},
		"to another":       {testPass, amy, messages.ServerID, testNowUs, false},
		"of an hour ago":   {testPass, amy, bobID, testNowUs - 60*minuteUs, false},
		"of an hour later": {testPass, amy, bobID, testNowUs + 60*minuteUs, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			taken, tickets := make(chan net.Conn, 1), &Tickets{}
			expected := NewExpected()
			expected.offerers([]string{amyID})
			openStreams(t, l, func(s *StreamsConfig) {
				s.Self = func() *messages.Node { return &messages.Node{Id: bobID} }
				s.Expected = expected
				s.Pass = func() (Pass, error) { return testPass, nil }
				s.ServerNow = func() int64 { return testNowUs }
				s.Tickets = tickets
				s.Offered = func(_ *messages.Node, ticket uint64) {
					conn, err := tickets.Redeem(ticket)(t.Context(), "")
					if err != nil {
						t.Error(err)
					}
					taken <- conn
				}
			})
			offer := &messages.OfferStream{Version: messages.DialectVersion}
			c.who.signOffer(offer, c.to, c.atUs)
			offer.Proof = c.pass.prove(offeringOf(offer, c.to))
			conn := dial(t, l)
			send(t, conn, mustFrame(t, messages.KindOffer, offer))
			if c.taken {
				_ = (<-taken).Close()
			}
			ends(t, conn)
			conn = dial(t, l)
			send(t, conn, mustFrame(t, messages.KindOffer, offer)) // overheard, and said again
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
		s.Identity = amy
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
	words := offeringOf(offer, bobID)
	if err := words.genuine(publicOf(amy.key)); err != nil || words.timely(bobID, testNowUs) != nil || testPass.check(words, offer.GetProof()) != nil {
		t.Errorf("offer %v: %v", offer, err)
	}
}
