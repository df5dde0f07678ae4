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

// GoodToken says why a text cannot be a token, which must fit into AUTH's line.
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
	// stretching makes each guess at a token cost who has overheard a proof some ten
	// milliseconds.
	stretching = 100_000
	// wrongTokens may come from an address at once, then one every wrongTokenWait.
	wrongTokens    = 10
	wrongTokenWait = 6 * time.Second
	// A listener that was told no does not ask again before; the server says so. After a wrong
	// token that is so long that a household with an old one does not use up its guesses.
	afterWrong, afterTries, afterNone = 5 * time.Minute, time.Minute, time.Minute
)

var (
	errToken = errors.New("that is not this server's token: ask whoever runs it for the right one")
	errTries = errors.New("too many wrong tokens came from this address: try again in a minute")
)

// Auth is a server's token: who comes in must know it. Natives prove that they do without
// saying it, and each proof is good for one TLS connection. Safe for many goroutines.
type Auth struct {
	sum  [sha256.Size]byte
	key  []byte
	pass Pass

	mu    sync.Mutex
	wrong *buckets
	said  map[netip.Prefix][sha256.Size]byte // the last wrong token of an address, as a hash
}

// NewAuth guards the server that signs with key. A token that is none is an error.
func NewAuth(token string, key ed25519.PrivateKey) (*Auth, error) {
	if err := GoodToken(token); err != nil {
		return nil, err
	}
	stretched, err := stretch(token, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	// The same after a restart, so that nobody in the chain notices one; another one
	// with another token.
	pass, err := hkdf.Key(sha256.New, key.Seed(), nil, "conga pass 1 "+token, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("make the pass: %w", err)
	}
	return &Auth{
		sum: sha256.Sum256([]byte(token)), key: stretched, pass: pass,
		wrong: newBuckets(rate.Every(wrongTokenWait), wrongTokens),
		said:  make(map[netip.Prefix][sha256.Size]byte),
	}, nil
}

// Pass is what those who came in get. A nil Auth lets everybody in: it is empty.
func (a *Auth) Pass() (Pass, error) {
	if a == nil {
		return nil, nil
	}
	return a.pass, nil
}

// say checks a token that was said in clear.
func (a *Auth) say(from net.Addr, token string) error {
	sum := sha256.Sum256([]byte(token))
	return a.judge(from, &sum, subtle.ConstantTimeCompare(sum[:], a.sum[:]) == 1)
}

// prove checks a listener's proof. Who has been let in before shows that by the pass, which
// nobody can guess: others at its address may guess as they like, it comes in.
func (a *Auth) prove(from net.Addr, s *session, hello *messages.Hello) error {
	if hmac.Equal(hello.GetStanding(), proofOf(a.pass, "member", s)) {
		return nil
	}
	return a.judge(from, nil, hmac.Equal(hello.GetProof(), proofOf(a.key, "listener", s)))
}

// judge counts wrong tokens: an address that has brought too many is not even told
// whether the next one is right. A wrong one that was said (sum is of what was said) and is said
// again is no new guess.
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

// again says whether the address has said the wrong token just before, and remembers it.
func (a *Auth) again(from netip.Prefix, sum [sha256.Size]byte) bool {
	before, said := a.said[from]
	if !said && len(a.said) >= maxBuckets {
		clear(a.said) // then somebody's guess counts twice
	}
	a.said[from] = sum
	return said && before == sum
}

// complete adds to a Welcome what the server says to those who know its token.
func (a *Auth) complete(answer *messages.Welcome, s *session) *messages.Welcome {
	if a == nil {
		return answer
	}
	answer = proto.CloneOf(answer)
	answer.Proof, answer.Pass = proofOf(a.key, "server", s), a.pass
	return answer
}

// stretch makes the token's key with one server. It takes some ten milliseconds.
func stretch(token string, server ed25519.PublicKey) ([]byte, error) {
	key, err := pbkdf2.Key(sha256.New, token, server, stretching, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("stretch the token: %w", err)
	}
	return key, nil
}

// proofOf shows that who speaks knows the key, to the other end of this connection only:
// somebody in between has two connections and two different exporters.
func proofOf(key []byte, who string, s *session) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("conga token 1 " + who + "\x00"))
	mac.Write(s.exporter)
	return mac.Sum(nil)
}

// Trust is what a listener's user knows about servers.
type Trust interface {
	// Check is asked whether the key is that of the server that was meant.
	Check(ed25519.PublicKey) error
	// Keep is told that it was: also a server with a token has proved to know it.
	Keep(ed25519.PublicKey)
	// Distrust is told why the server is not the one that was meant. It may come often.
	Distrust(error)
}

// Membership is a listener's standing with its server: who it is, whom it trusts, and what
// it was given. It lasts as long as the listener, over all its connections. Safe for many
// goroutines.
type Membership struct {
	identity *Identity
	instance string // of this life of the process
	token    string
	trust    Trust
	expected *Expected

	mu      sync.Mutex
	key     ed25519.PublicKey // nil before the first Welcome, then for ever the same
	slow    []byte            // token's key with slowFor
	slowFor ed25519.PublicKey
	pass    Pass
}

// NewMembership is for a listener whose user was given a token, or none ("").
func NewMembership(identity *Identity, token string, trust Trust) *Membership {
	return &Membership{
		identity: identity, instance: uuid.NewString(), token: token, trust: trust, expected: newListenerExpected(),
	}
}

// Identity is the listener's own.
func (m *Membership) Identity() *Identity { return m.identity }

// Expected is whom the chain sends to this listener, as its server said last.
func (m *Membership) Expected() *Expected { return m.expected }

// neighbours takes what the server says of this listener's place.
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

// Pass is what to show on stream connections, and to ask for. It is an error before the
// server has said whether there is one.
func (m *Membership) Pass() (Pass, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.key == nil && m.token != "" {
		return nil, errNotYet
	}
	return m.pass, nil
}

// check is asked about the key of every connection's server.
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

// prove is this listener's proof, nil without a token.
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

// standing shows that this listener was let in before.
func (m *Membership) standing(s *session) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.pass) == 0 || !s.key.Equal(m.key) {
		return nil
	}
	return proofOf(m.pass, "member", s)
}

// welcome checks the server's answer; then it is the one that was meant.
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

// Secured is a listener's connection to its server, with what belongs to it alone.
type Secured struct {
	net.Conn
	member  *Membership
	session *session
	proof   []byte

	standing []byte // that this listener was let in before; nil: it was not, or there was no token
}

// CloseWrite ends what this end says; the server may still speak.
func (s *Secured) CloseWrite() error { return closeWrite(s.Conn) }

// Secure speaks TLS on conn with the server that is meant, or says why that is another one.
func (m *Membership) Secure(ctx context.Context, conn net.Conn) (*Secured, error) {
	secure, session, err := dialTLS(ctx, conn, m.check)
	if err != nil {
		return nil, err
	}
	proof, err := m.prove("listener", session)
	return &Secured{Conn: secure, member: m, session: session, proof: proof, standing: m.standing(session)}, err
}

// Introduce completes the Hello: it is good for this connection only.
func (s *Secured) Introduce(hello *messages.Hello) *messages.Hello {
	hello = proto.CloneOf(hello)
	hello.Node = s.member.identity.node(hello.GetNode())
	hello.Instance, hello.Proof, hello.Standing = s.member.instance, s.proof, s.standing
	hello.Signature = s.member.identity.sign(useHello, s.session.identity)
	return hello
}

// distrust marks what no further try will mend.
type distrust struct{ error }

func (d *distrust) Unwrap() error { return d.error }

// report tells the user of an err that is a distrust.
func (m *Membership) report(err error) {
	if d := (*distrust)(nil); errors.As(err, &d) {
		m.trust.Distrust(d.error)
	}
}
