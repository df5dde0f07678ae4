package transport

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"golang.org/x/time/rate"

	"conga/messages"
)

const testToken = "open sesame"

// testKey is the signing key of the intended server, otherKey another's.
var testKey, otherKey = keyFrom(1), keyFrom(2)

func keyFrom(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// guarded gives a request port the token and TLS.
func guarded(t testing.TB, token string, key ed25519.PrivateKey) func(*RequestsConfig) {
	t.Helper()
	secure, err := ServerTLS(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	var auth *Auth
	if token != "" {
		if auth, err = NewAuth(token, key); err != nil {
			t.Fatal(err)
		}
	}
	return func(c *RequestsConfig) { c.TLS, c.Auth = secure, auth }
}

func TestGoodToken(t *testing.T) {
	for _, good := range []string{"x", testToken, "é", strings.Repeat("x", MaxToken)} {
		if err := GoodToken(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", " x", "x ", "a\nb", "\xff", "bell\a", strings.Repeat("x", MaxToken+1)} {
		if GoodToken(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
		if _, err := NewAuth(bad, testKey); err == nil {
			t.Errorf("a server takes %q", bad)
		}
	}
}

// Each line of a stranger gets one answer, and reaches no actor.
func TestRequests_Auth(t *testing.T) {
	const wrong, first = "That is not this server's token: ask whoever runs it for the right one.\n", sayAuthFirst + "\n"
	for name, c := range map[string]struct{ says, want string }{
		"no token":          {"SONGS\nPLAY 1\nREQUESTS\n\nfoo\nQUIT\n", strings.Repeat(first, 5)},
		"wrong, then right": {"AUTH x\nSONGS\nauth " + testToken + "\nREQUESTS\n", wrong + first + sayAuthDone + "\n" + sayNoWishes + "\n\n"},
		"no word":           {"AUTH\nAUTH \nQUIT\n", wrong + wrong},
		"on and on":         {strings.Repeat("SONGS\n", 3*strangerLines), strings.Repeat(first, strangerLines) + "Goodbye.\n"},
		"native words":      {"ASK {\"line\":\"SONGS\"}\nHELLO {{\nQUIT\n", "REFUSED {\"reason\":\"say HELLO first\"}\n" + first},
		"seed's words":      {"SONGLIST\nQUIT\n", first},
		"right, then again": {"AUTH " + testToken + "\nAUTH x\nQUIT\n", sayAuthDone + "\n" + sayNoToken + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			house := openRequests(t, l, guarded(t, testToken, testKey))
			conn := dial(t, l)
			send(t, conn, []byte(c.says))
			_ = conn.(*net.TCPConn).CloseWrite()
			got, err := io.ReadAll(conn)
			// protojson may put a space behind a colon.
			if err != nil || strings.ReplaceAll(string(got), `": "`, `":"`) != strings.ReplaceAll(c.want, `": "`, `":"`) {
				t.Errorf("read %v:\n%s\nwant:\n%s", err, got, c.want)
			}
			if len(house.chain) > 0 {
				t.Errorf("the chain heard %v", <-house.chain)
			}
		})
	}
}

// Guessing ends after a few tries, over however many connections. After that even the right token is
// refused, until some time has passed. Members notice nothing.
func TestRequests_Guessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		openRequests(t, l, guarded(t, testToken, testKey))
		say := func(conn net.Conn, line string) string {
			t.Helper()
			send(t, conn, []byte(line+"\n"))
			answer, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSuffix(answer, "\n")
		}
		inside := l.dial(t)
		if got := say(inside, "AUTH "+testToken); got != sayAuthDone {
			t.Fatal(got)
		}
		for i := range 3 * wrongTokens { // the same again is no new guess
			if got := say(l.dial(t), "AUTH typo"); got != sentence(errToken) {
				t.Fatalf("try %d: %s", i, got)
			}
		}
		for i := range wrongTokens - 1 {
			if got := say(l.dial(t), fmt.Sprint("AUTH guess", i)); got != sentence(errToken) {
				t.Fatalf("guess %d: %s", i, got)
			}
		}
		for _, token := range []string{"guess", testToken} {
			conn := l.dial(t)
			if got := say(conn, "AUTH "+token); got != sentence(errTries) {
				t.Errorf("%s: %s", token, got)
			}
			ends(t, conn)
		}
		if got := say(inside, "PLAY"); got != sayWhich {
			t.Errorf("who is in: %s", got)
		}
		time.Sleep(wrongTokenWait) // of the bubble's clock
		if got := say(l.dial(t), "AUTH "+testToken); got != sayAuthDone {
			t.Errorf("later: %s", got)
		}
	})
}

// While somebody at their address guesses tokens, listeners that were let in before come in again, and
// those that have only the token are told how long to wait. Nobody is told whether a guess is right.
func TestRequests_GuessingNeighbour(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, func(c *RequestsConfig) {
		guarded(t, testToken, testKey)(c)
		c.Auth.wrong = newBuckets(rate.Every(time.Hour), wrongTokens) // however slow this machine is
	})
	trying := func(m *Membership) *messages.Refused {
		t.Helper()
		conn, err := m.Secure(t.Context(), dial(t, l))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		sayLine(t, conn, conn.Introduce(&messages.Hello{Version: 1, Node: &messages.Node{}, Leaf: true}))
		line, err := readReply(bufio.NewReader(conn))
		if err != nil {
			t.Fatal(err)
		}
		said, _ := ParseLine(line)
		switch answer := said.(type) {
		case *messages.Refused:
			return answer
		case *messages.Welcome:
			await[*messages.JoinChain](t, house.chain)
			if err := m.welcome(conn.session, answer); err != nil {
				t.Fatal(err)
			}
			return nil
		}
		t.Fatalf("read %q", line)
		return nil
	}
	member := NewMembership(amy, testToken, &someTrust{})
	if refused := trying(member); refused != nil {
		t.Fatal(refused)
	}
	await[*messages.PeerLost](t, house.chain)
	for i := range wrongTokens {
		refused := trying(NewMembership(cem, fmt.Sprint("guess", i), &someTrust{}))
		if refused.GetReason() != errToken.Error() || refused.GetWaitSeconds() != uint32(afterWrong.Seconds()) {
			t.Fatalf("guess %d: %v", i, refused)
		}
	}
	for _, token := range []string{"guess", testToken} {
		refused := trying(NewMembership(bob, token, &someTrust{}))
		if refused.GetReason() != errTries.Error() || refused.GetWaitSeconds() != uint32(afterTries.Seconds()) {
			t.Errorf("%s: %v", token, refused)
		}
	}
	if refused := trying(member); refused != nil {
		t.Errorf("who was in is refused: %v", refused)
	}
	await[*messages.PeerLost](t, house.chain)
	// What shows that amy was in is good for her connection only.
	first, err := member.Secure(t.Context(), dial(t, l))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := NewMembership(cem, "guess", &someTrust{}).Secure(t.Context(), dial(t, l))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	hello := second.Introduce(&messages.Hello{Version: 1, Node: &messages.Node{}, Leaf: true})
	hello.Standing = first.standing
	sayLine(t, second, hello)
	if refused := readLine[*messages.Refused](t, bufio.NewReader(second)); refused.GetReason() != errTries.Error() {
		t.Errorf("refused: %v", refused)
	}
}

// Whatever a stranger says at a guarded port, it reaches no actor.
func FuzzStranger(f *testing.F) {
	for _, c := range casesLine {
		f.Add([]byte(c.line + "\n"))
	}
	f.Add([]byte("AUTH\nAUTH x\nauth\t\x00\n"))
	f.Add([]byte{handshakeRecord, 3, 1, 0, 5, 1, 0, 0, 1, 3})
	configure := guarded(f, testToken, testKey)
	f.Fuzz(func(t *testing.T, said []byte) {
		if bytes.Contains(bytes.ToLower(said), []byte(testToken)) {
			t.Skip("it knows the token")
		}
		l := newPipes()
		house := openRequests(t, l, configure)
		conn := l.dial(t)
		go func() {
			_, _ = conn.Write(said)
			_ = conn.Close()
		}()
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
		stop(t, house.system, house.pid)
		if len(house.chain) > 0 {
			t.Errorf("the chain heard %v", <-house.chain)
		}
	})
}

func TestAuth_PassStays(t *testing.T) {
	pass := func(token string, key ed25519.PrivateKey) string {
		a, err := NewAuth(token, key)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := a.Pass()
		return string(p)
	}
	before, after := pass("a", testKey), pass("a", testKey)
	if before != after {
		t.Error("a restart changes the pass: nobody in the chain could reach another")
	}
	if pass("a", testKey) == pass("b", testKey) || pass("a", testKey) == pass("a", otherKey) {
		t.Error("another token or key has the same pass")
	}
	if welcome := (&messages.Welcome{Epoch: 1}); !proto.Equal((*Auth)(nil).complete(welcome, nil), welcome) {
		t.Error("an open house adds something to its Welcome")
	}
}
