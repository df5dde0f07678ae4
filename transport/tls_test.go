package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// someTrust is a user who knows one key, or none (nil).
type someTrust struct {
	knows ed25519.PublicKey

	mu       sync.Mutex
	kept     ed25519.PublicKey
	distrust error
}

var errUnknownKey = errors.New("another key than before")

func (s *someTrust) Check(key ed25519.PublicKey) error {
	if s.knows != nil && !s.knows.Equal(key) {
		return errUnknownKey
	}
	return nil
}

func (s *someTrust) Keep(key ed25519.PublicKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = key
}

func (s *someTrust) Distrust(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.distrust = err
}

// A listener and a server, each with or without the token and the right key.
func TestRequestLink_Secure(t *testing.T) {
	for name, c := range map[string]struct {
		server string // its token
		key    ed25519.PrivateKey
		token  string // the listener's
		knows  ed25519.PublicKey

		refused  string // by the server, in its words
		distrust error  // by the listener
	}{
		"open house":               {key: testKey},
		"open house, known":        {key: testKey, knows: publicOf(testKey)},
		"token":                    {server: testToken, key: testKey, token: testToken},
		"token, known":             {server: testToken, key: testKey, token: testToken, knows: publicOf(testKey)},
		"no token":                 {server: testToken, key: testKey, refused: errNoProof.Error()},
		"wrong token":              {server: testToken, key: testKey, token: "x", refused: errToken.Error()},
		"another key":              {key: otherKey, knows: publicOf(testKey), distrust: errUnknownKey},
		"another key, right token": {server: testToken, key: otherKey, token: testToken, knows: publicOf(testKey), distrust: errUnknownKey},
		"an impostor lets anybody in, to see what they say": {key: otherKey, token: testToken, distrust: errUnproved},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			house := openRequests(t, l, func(r *RequestsConfig) {
				guarded(t, c.server, c.key)(r)
			})
			house.key.Store(publicOf(c.key))
			trust := &someTrust{knows: c.knows}
			member := NewMembership(amy, c.token, trust)
			system := newSystem(t)
			requester, told := child(t, system, RequestLink(RequestLinkConfig{Link: 4, Addr: l.Addr().String(), Member: member}))
			hello := &messages.Hello{Version: 1, Node: &messages.Node{Id: amyID}, Leaf: true}
			if errors.Is(c.distrust, errUnknownKey) {
				await[*messages.RequestsClosed](t, told)
				if len(house.chain) > 0 || !errors.Is(trust.distrust, c.distrust) {
					t.Errorf("distrust %v", trust.distrust)
				}
				return
			}
			await[*messages.RequestsOpened](t, told)
			system.Root.Send(requester, hello)
			switch {
			case c.refused != "":
				if refused := await[*messages.Refused](t, told); refused.GetReason() != c.refused {
					t.Errorf("refused: %s, want %s", refused.GetReason(), c.refused)
				}
				await[*messages.RequestsClosed](t, told)
			case c.distrust != nil:
				await[*messages.RequestsClosed](t, told) // and no Welcome before
				if !errors.Is(trust.distrust, c.distrust) || trust.kept != nil {
					t.Errorf("distrust %v, kept %v", trust.distrust, trust.kept)
				}
			default:
				await[*messages.Welcome](t, told)
				pass, err := member.Pass()
				if err != nil || (len(pass) > 0) != (c.server != "") || !trust.kept.Equal(publicOf(c.key)) {
					t.Errorf("pass of %d bytes, %v; kept %v", len(pass), err, trust.kept)
				}
				system.Root.Send(requester, &messages.Ask{RequestId: "r", Line: "REQUESTS"})
				await[*messages.Answer](t, told)
				system.Root.Send(requester, &messages.LeaveChain{})
				system.Root.Send(requester, poison{})
				await[*messages.RequestsClosed](t, told)
				return
			}
			if pass, err := member.Pass(); len(pass) > 0 || c.token != "" && !errors.Is(err, errNotYet) {
				t.Errorf("who was not let in has a pass of %d bytes, %v", len(pass), err)
			}
		})
	}
}

// Once joined, a listener knows its server, whatever its user knows.
func TestMembership_AnotherKeyLater(t *testing.T) {
	m := NewMembership(amy, "", &someTrust{})
	s := &session{key: publicOf(testKey)}
	if err := m.welcome(s, &messages.Welcome{Key: publicOf(otherKey)}); err == nil {
		t.Error("a server that signs with another key is believed")
	}
	if err := m.check(publicOf(otherKey)); err != nil {
		t.Errorf("before it has joined: %v", err)
	}
	if err := m.welcome(s, &messages.Welcome{Key: s.key}); err != nil {
		t.Fatal(err)
	}
	if err := m.check(publicOf(otherKey)); !errors.Is(err, errOtherKey) {
		t.Errorf("another server later: %v", err)
	}
}

// sayTLS dials the port as a program without conga would.
func sayTLS(t *testing.T, l net.Listener) (*tls.Conn, *session) {
	t.Helper()
	conn, s, err := dialTLS(t.Context(), dial(t, l), func(ed25519.PublicKey) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return conn, s
}

// A proof is valid only for the connection that it was made for: somebody in between who passes
// it on to the real server gains nothing.
func TestRequests_ProofPassedOn(t *testing.T) {
	l := listen(t)
	openRequests(t, l, guarded(t, testToken, testKey))
	m := NewMembership(amy, testToken, &someTrust{})
	_, first := sayTLS(t, l)
	proof, err := m.prove("listener", first)
	if err != nil {
		t.Fatal(err)
	}
	conn, _ := sayTLS(t, l)
	sayLine(t, conn, &messages.Hello{Version: 1, Node: &messages.Node{Id: amyID}, Proof: proof})
	if refused := readLine[*messages.Refused](t, bufio.NewReader(conn)); refused.GetReason() != errToken.Error() {
		t.Errorf("refused: %s", refused.GetReason())
	}
	// Nor is the server's proof the listener's.
	conn, s := sayTLS(t, l)
	proof, _ = m.prove("server", s)
	sayLine(t, conn, &messages.Hello{Version: 1, Node: &messages.Node{Id: amyID}, Proof: proof})
	readLine[*messages.Refused](t, bufio.NewReader(conn))
}

// The pass is never sent in clear, not even to a client that knows the token.
func TestRequests_PassInClear(t *testing.T) {
	l := listen(t)
	openRequests(t, l, guarded(t, testToken, testKey))
	conn := dial(t, l)
	send(t, conn, []byte("AUTH "+testToken+"\n"))
	r := bufio.NewReader(conn)
	if line, err := readReply(r); line != sayAuthDone {
		t.Fatal(line, err)
	}
	sayLine(t, conn, &messages.Hello{Version: 1, Node: &messages.Node{Id: amyID}})
	if refused := readLine[*messages.Refused](t, r); refused.GetReason() != errClear.Error() {
		t.Errorf("refused: %s", refused.GetReason())
	}
}

// A person's line also goes over TLS, as with openssl s_client.
func TestRequests_LinesOverTLS(t *testing.T) {
	l := listen(t)
	openRequests(t, l, guarded(t, testToken, testKey))
	conn, _ := sayTLS(t, l)
	send(t, conn, []byte("AUTH "+testToken+"\nREQUESTS\nQUIT\n"))
	if got, err := io.ReadAll(conn); err != nil || string(got) != sayAuthDone+"\n"+sayNoWishes+"\n\n" {
		t.Errorf("read %q, %v", got, err)
	}
}

// A connection that only begins like TLS, or stops in the middle, is ended; the next one is served.
func TestRequests_BrokenTLS(t *testing.T) {
	for name, begin := range map[string][]byte{
		"one byte": {handshakeRecord},
		"garbage":  append([]byte{handshakeRecord, 3, 1}, bytes.Repeat([]byte{0xff}, 4000)...),
		"text":     []byte("\x16SONGS\n"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				openRequests(t, l, guarded(t, "", testKey))
				conn := l.dial(t)
				start := time.Now()
				go func() { _, _ = conn.Write(begin) }()
				ends(t, &patient{conn})
				if took := time.Since(start); took > helloPatience {
					t.Errorf("it ended after %v", took)
				}
				next := l.dial(t)
				send(t, next, []byte("REQUESTS\n"))
				if line, err := readReply(bufio.NewReader(next)); line != sayNoWishes {
					t.Errorf("the next one read %q, %v", line, err)
				}
			})
		})
	}
}

// A listener sends nothing to a server that does not speak TLS.
func TestRequestLink_PlainServer(t *testing.T) {
	here, there := net.Pipe()
	t.Cleanup(func() { _ = here.Close() })
	go func() { _, _ = io.Copy(io.Discard, here) }()
	go func() { _, _ = here.Write([]byte("Your address has too many connections\n")) }()
	_, told := child(t, newSystem(t), RequestLink(RequestLinkConfig{
		Link: 4, Member: NewMembership(amy, testToken, &someTrust{}),
		Dial: func(context.Context, string) (net.Conn, error) { return there, nil },
	}))
	if closed := await[*messages.RequestsClosed](t, told); !strings.Contains(closed.Reason, "does not speak TLS") {
		t.Errorf("closed %v", closed)
	}
}
