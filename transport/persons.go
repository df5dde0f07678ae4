package transport

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"conga/messages"
)

// Persons tells people apart who ask for songs, so that each has a share. A listener is its key; a guest of the page a
// cookie, which nobody but the server can make; anybody else is the address. In the log stand hashes of addresses
// and cookies, keyed so that nobody finds out an address by trying them all.
type Persons struct {
	key     []byte
	cookies *buckets
}

const (
	// An address gets so many cookies at once, for a family or an office, and then one a minute: whoever throws his
	// away is the same person again for as long.
	cookiesAtOnce, cookieEvery = 30, time.Minute
	cookieLasts                = 30 * 24 * time.Hour
	hashBytes                  = 8
)

// NewPersons knows them again after a restart with the same secret; nil: only until then.
func NewPersons(secret []byte) *Persons {
	p := &Persons{key: make([]byte, sha256.Size), cookies: newBuckets(rate.Every(cookieEvery), cookiesAtOnce)}
	if secret == nil {
		_, _ = rand.Read(p.key) // crypto/rand does not fail
		return p
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("conga persons 1"))
	p.key = mac.Sum(nil)
	return p
}

func (p *Persons) hash(kind, what string) []byte {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(kind + "\x00" + what))
	return mac.Sum(nil)
}

func (p *Persons) name(kind, what string) string {
	return hex.EncodeToString(p.hash(kind, what)[:hashBytes])
}

// household is what all that come from the address have in common.
func (p *Persons) household(a net.Addr) string { return p.name("address", address(a).String()) }

// stranger is who has nothing but an address.
func (p *Persons) stranger(a net.Addr) string { return "address-" + p.household(a) }

// cookieName is of this server: cookies do not know ports, and another may run on this machine.
func (p *Persons) cookieName() string { return "conga-" + p.name("cookie", "name")[:8] }

// guest is who has sent a cookie of this server; empty: nobody.
func (p *Persons) guest(r *http.Request) string {
	cookie, err := r.Cookie(p.cookieName())
	if err != nil {
		return ""
	}
	id, proof, _ := strings.Cut(cookie.Value, ".")
	if subtle.ConstantTimeCompare([]byte(proof), []byte(p.name("proof", id))) != 1 {
		return ""
	}
	return "guest-" + p.name("guest", id)
}

// welcome gives a cookie to who has none, unless the address has had too many.
func (p *Persons) welcome(w http.ResponseWriter, r *http.Request, a net.Addr, secure bool) {
	if p.guest(r) != "" || !p.cookies.of(a).Allow() {
		return
	}
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	id := base64.RawURLEncoding.EncodeToString(b)
	http.SetCookie(w, &http.Cookie{
		Name: p.cookieName(), Value: id + "." + p.name("proof", id), Path: "/", MaxAge: int(cookieLasts.Seconds()),
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
	})
}

// asker is who says something, as the scheduler knows them.
type asker struct {
	id, name          string
	person, household string
	role              messages.Role
}

// hostName is what the host is called in the queue.
const hostName = "the host"

// asker is who speaks on this connection.
func (t *requestTalk) asker() asker {
	if t.isHost() {
		return asker{name: hostName, person: "host", role: messages.Role_ROLE_HOST}
	}
	from := t.from()
	if t.node != nil {
		return asker{id: t.node.GetId(), name: t.node.GetName(), household: t.cfg.Persons.household(from)}
	}
	return asker{person: t.cfg.Persons.stranger(from), household: t.cfg.Persons.household(from)}
}

// from is the address that the words come from.
func (t *requestTalk) from() net.Addr {
	if t.standIn != nil && t.standIn.From != nil {
		return t.standIn.From
	}
	return t.conn.RemoteAddr()
}

func (t *requestTalk) isHost() bool { return t.standIn != nil && t.standIn.Host }

// terse says whether a program of 2016 hears the answer: it knows the seed's sentences and lists, and nothing else.
func (t *requestTalk) terse() bool { return t.standIn != nil && !t.standIn.Host }

func (a asker) play(wish, requestID string, now int64) *messages.RequestPlay {
	return &messages.RequestPlay{
		RequestId: requestID, ListenerId: a.id, ListenerName: a.name, Wish: wish,
		Person: a.person, Household: a.household, Role: a.role, AtUnixUs: now,
	}
}

func (a asker) cancel(wish, requestID string) *messages.CancelRequest {
	return &messages.CancelRequest{
		RequestId: requestID, ListenerId: a.id, ListenerName: a.name, Wish: wish, Person: a.person, Role: a.role,
	}
}

func (a asker) skip(requestID string, now int64) *messages.SkipSong {
	return &messages.SkipSong{
		RequestId: requestID, ListenerId: a.id, ListenerName: a.name,
		Person: a.person, Household: a.household, Role: a.role, AtUnixUs: now,
	}
}
