package transport

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// MaxToken is the longest token, in bytes.
const MaxToken = 256

// GoodToken returns an error that says why a text cannot be a token. A token must fit into an AUTH line.
func GoodToken(token string) error {
	switch word, rest := cutWord("AUTH " + token); {
	case token == "":
		return errors.New("an empty token would let everybody in")
	case len(token) > MaxToken:
		return fmt.Errorf("a token has at most %d bytes", MaxToken)
	case !isText(token) || word != "AUTH" || rest != token:
		return errors.New("a token is plain text without spaces around it")
	}
	return nil
}

const (
	// stretching is PBKDF2's number of iterations. With it, somebody who has overheard a proof needs some ten
	// milliseconds for each guess at the token.
	stretching = 100_000
	// wrongTokens may come from an address at once, then one every wrongTokenWait.
	wrongTokens    = 10
	wrongTokenWait = 6 * time.Second
	// How long the server tells a refused listener to wait before it asks again. After a wrong token the
	// wait is so long that a household with an old token does not use up its guesses.
	afterWrong, afterTries, afterNone = 5 * time.Minute, time.Minute, time.Minute
)

var (
	errToken = errors.New("that is not this server's token: ask whoever runs it for the right one")
	errTries = errors.New("too many wrong tokens came from this address: try again in a minute")
)

// Auth holds the token that clients must know. Natives prove that they know it without
// sending it, and each proof is valid for one TLS connection. Safe for many goroutines.
type Auth struct {
	sum  [sha256.Size]byte
	key  []byte
	pass Pass
	web  []byte // makes the passes of browsers

	mu    sync.Mutex
	wrong *buckets
	said  map[netip.Prefix][sha256.Size]byte // the last wrong token of an address, as a hash
}

// NewAuth returns the Auth of the server that signs with key. The error is GoodToken's.
func NewAuth(token string, key ed25519.PrivateKey) (*Auth, error) {
	if err := GoodToken(token); err != nil {
		return nil, err
	}
	stretched, err := stretch(token, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	// The pass is the same after a restart, so nobody in the chain notices one; a new
	// token makes a new pass.
	pass, err := hkdf.Key(sha256.New, key.Seed(), nil, "conga pass 1 "+token, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("make the pass: %w", err)
	}
	web, err := hkdf.Key(sha256.New, key.Seed(), nil, "conga browsers' pass 1 "+token, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("make the key of browsers' passes: %w", err)
	}
	return &Auth{
		sum: sha256.Sum256([]byte(token)), key: stretched, pass: pass, web: web,
		wrong: newBuckets(rate.Every(wrongTokenWait), wrongTokens),
		said:  make(map[netip.Prefix][sha256.Size]byte),
	}, nil
}

// Pass returns the pass for members. With a nil Auth, which lets everybody in, it is empty.
func (a *Auth) Pass() (Pass, error) {
	if a == nil {
		return nil, nil
	}
	return a.pass, nil
}

// say checks a token that was sent in clear.
func (a *Auth) say(from net.Addr, token string) error {
	sum := sha256.Sum256([]byte(token))
	return a.judge(from, &sum, subtle.ConstantTimeCompare(sum[:], a.sum[:]) == 1)
}

// prove checks a listener's proof. A listener that was let in before proves that with the pass, which
// nobody can guess, so it comes in even while others at its address guess tokens.
func (a *Auth) prove(from net.Addr, s *session, hello *messages.Hello) error {
	if hmac.Equal(hello.GetStanding(), proofOf(a.pass, "member", s)) {
		return nil
	}
	return a.judge(from, nil, hmac.Equal(hello.GetProof(), proofOf(a.key, "listener", s)))
}

// judge counts wrong tokens: an address that has sent too many is not even told whether the next one is
// right. If the same wrong token is sent in clear again, it does not count again; sum is its hash, nil for a
// proof.
func (a *Auth) judge(from net.Addr, sum *[sha256.Size]byte, right bool) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	wrong := a.wrong.of(from)
	switch {
	case wrong.Tokens() < 1:
		return errTries
	case !right:
		if sum == nil || !a.again(address(from), *sum) {
			wrong.Allow()
		}
		slog.Warn("wrong token", "from", from)
		return errToken
	}
	return nil
}

// again reports whether the last wrong token of the address was the same, and remembers it.
func (a *Auth) again(from netip.Prefix, sum [sha256.Size]byte) bool {
	before, said := a.said[from]
	if !said && len(a.said) >= maxBuckets {
		clear(a.said) // then somebody's guess counts twice
	}
	a.said[from] = sum
	return said && before == sum
}

// complete adds to a Welcome what only members get: the server's proof and the pass.
func (a *Auth) complete(answer *messages.Welcome, s *session) *messages.Welcome {
	if a == nil {
		return answer
	}
	answer = proto.CloneOf(answer)
	answer.Proof, answer.Pass = proofOf(a.key, "server", s), a.pass
	return answer
}

// stretch derives a key from the token and the server's key (PBKDF2). It takes some ten milliseconds.
func stretch(token string, server ed25519.PublicKey) ([]byte, error) {
	key, err := pbkdf2.Key(sha256.New, token, server, stretching, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("stretch the token: %w", err)
	}
	return key, nil
}

// proofOf proves that the sender knows key, to the other end of this connection only: somebody in between
// has two connections with two different exporters (RFC 5705).
func proofOf(key []byte, who string, s *session) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("conga token 1 " + who + "\x00"))
	mac.Write(s.exporter)
	return mac.Sum(nil)
}

// Trust is what a listener's user knows about servers.
type Trust interface {
	// Check returns an error unless the key is that of the intended server.
	Check(ed25519.PublicKey) error
	// Keep is called after Check when the server has also proved to know the token, if there is one.
	Keep(ed25519.PublicKey)
	// Distrust is told why the server is not the intended one. It may be called often.
	Distrust(error)
}

// Membership is what a listener knows about itself and its server: its identity, the server's key, the
// token and the pass. It lasts as long as the listener, over all its connections. Safe for many goroutines.
type Membership struct {
	identity *Identity
	instance string // identifies this run of the process
	token    string
	trust    Trust
	expected *Expected
	playsAs  string // see PlaysAs

	mu      sync.Mutex
	key     ed25519.PublicKey // nil before the first Welcome; it never changes afterwards
	slow    []byte            // the token stretched with slowFor
	slowFor ed25519.PublicKey
	pass    Pass
}

// NewMembership returns the membership of a listener. token may be empty.
func NewMembership(identity *Identity, token string, trust Trust) *Membership {
	return &Membership{
		identity: identity, instance: uuid.NewString(), token: token, trust: trust, expected: newListenerExpected(),
	}
}

// PlaysAs tells the server, at each HELLO, by which name players reach this listener's relay over TLS. Call it before the first.
func (m *Membership) PlaysAs(name string) { m.playsAs = name }

// Identity returns the listener's identity.
func (m *Membership) Identity() *Identity { return m.identity }

// Expected returns the nodes that the chain sends to this listener, as its server said last.
func (m *Membership) Expected() *Expected { return m.expected }

// neighbours records which nodes the server sends here.
func (m *Membership) neighbours(n *messages.Neighbours) {
	guests := slices.Clone(n.GetGuests())
	if below := n.GetDownstream().GetId(); below != "" {
		guests = append(guests, below)
	}
	m.expected.Guests(guests)
	var hosts []string
	for _, above := range n.GetAncestors() {
		hosts = append(hosts, above.GetId())
	}
	m.expected.offerers(hosts)
}

var (
	errOtherKey = errors.New("the server has another key than when this listener joined")
	errUnproved = errors.New("the server does not know the token: check its address; if it was started without --auth, leave out --auth and CONGA_AUTH")
	errNotYet   = errors.New("this node has not joined its server yet")
)

// Pass returns the pass to prove on stream connections, and to demand there. It is an error before the
// server has said whether there is one.
func (m *Membership) Pass() (Pass, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.key == nil && m.token != "" {
		return nil, errNotYet
	}
	return m.pass, nil
}

// check is called with the key of the server on every connection.
func (m *Membership) check(key ed25519.PublicKey) error {
	m.mu.Lock()
	joined := m.key
	m.mu.Unlock()
	if joined != nil && !joined.Equal(key) {
		return &distrust{errOtherKey}
	}
	if err := m.trust.Check(key); err != nil {
		return &distrust{err}
	}
	return nil
}

// prove returns this listener's proof of the token, nil without one.
func (m *Membership) prove(who string, s *session) ([]byte, error) {
	if m.token == "" {
		return nil, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.key.Equal(m.slowFor) {
		slow, err := stretch(m.token, s.key)
		if err != nil {
			return nil, err
		}
		m.slow, m.slowFor = slow, s.key
	}
	return proofOf(m.slow, who, s), nil
}

// standing returns the proof that this listener was let in before, nil if it was not.
func (m *Membership) standing(s *session) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pass) == 0 || !s.key.Equal(m.key) {
		return nil
	}
	return proofOf(m.pass, "member", s)
}

// welcome checks the server's answer. After it, the server is known to be the intended one.
func (m *Membership) welcome(s *session, answer *messages.Welcome) error {
	if !s.key.Equal(ed25519.PublicKey(answer.GetKey())) {
		return &distrust{errors.New("the server signs with another key than that of its connection")}
	}
	want, err := m.prove("server", s)
	if err != nil {
		return err
	}
	if want != nil && !hmac.Equal(want, answer.GetProof()) {
		return &distrust{errUnproved}
	}
	m.mu.Lock()
	m.key, m.pass = s.key, answer.GetPass()
	m.mu.Unlock()
	m.trust.Keep(s.key)
	return nil
}

// Secured is a listener's TLS connection to its server, with the proofs that are valid on it.
type Secured struct {
	net.Conn
	member  *Membership
	session *session
	proof   []byte

	standing []byte // proves that this listener was let in before; nil: it was not, or there was no token
}

// CloseWrite closes the sending side; the server may still send.
func (s *Secured) CloseWrite() error { return closeWrite(s.Conn) }

// Secure starts TLS on conn. The error says if the server is not the intended one.
func (m *Membership) Secure(ctx context.Context, conn net.Conn) (*Secured, error) {
	secure, session, err := dialTLS(ctx, conn, m.check)
	if err != nil {
		return nil, err
	}
	proof, err := m.prove("listener", session)
	return &Secured{Conn: secure, member: m, session: session, proof: proof, standing: m.standing(session)}, err
}

// Introduce returns the Hello with identity, proofs and signature, valid on this connection only.
func (s *Secured) Introduce(hello *messages.Hello) *messages.Hello {
	hello = proto.CloneOf(hello)
	hello.Node = s.member.identity.node(hello.GetNode())
	hello.PlaysAs = s.member.playsAs
	hello.Instance, hello.Proof, hello.Standing = s.member.instance, s.proof, s.standing
	hello.Signature = s.member.identity.sign(useHello, s.session.identity)
	return hello
}

// distrust marks errors that no further try will mend.
type distrust struct{ error }

func (d *distrust) Unwrap() error { return d.error }

// report tells Trust of err if it is a distrust.
func (m *Membership) report(err error) {
	if d := (*distrust)(nil); errors.As(err, &d) {
		m.trust.Distrust(d.error)
	}
}
