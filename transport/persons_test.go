package transport

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"conga/messages"
)

func at(addr string) net.Addr { return someAddr(addr) }

// come is one visit of the page by who has the cookies; it returns those that he has then.
func come(p *Persons, from string, has []*http.Cookie) []*http.Cookie {
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	for _, c := range has {
		r.AddCookie(c)
	}
	p.welcome(w, r, at(from), false)
	return append(has, w.Result().Cookies()...)
}

func whose(p *Persons, cookies []*http.Cookie) string {
	r := httptest.NewRequest("POST", "/request", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return p.guest(r)
}

// A guest of the page is the same person as long as it has its cookie, also after a restart of the server. Nobody makes
// a cookie of its own, and another server's is none.
func TestPersons_Guest(t *testing.T) {
	p := NewPersons([]byte("secret"))
	amy := come(p, "192.0.2.1:1", nil)
	if len(amy) != 1 || !amy[0].HttpOnly || amy[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("the cookie is %v", amy)
	}
	who := whose(p, amy)
	if again := come(p, "192.0.2.1:1", amy); who == "" || len(again) != 1 || whose(NewPersons([]byte("secret")), amy) != who {
		t.Errorf("amy is %q, then %q with %v", who, whose(p, again), again)
	}
	if bob := come(p, "192.0.2.1:1", nil); whose(p, bob) == who || whose(p, bob) == "" {
		t.Error("bob is amy")
	}
	if other := whose(NewPersons([]byte("another")), amy); other != "" {
		t.Errorf("another server knows %s", other)
	}
	id, proof, _ := strings.Cut(amy[0].Value, ".")
	for _, value := range []string{"", ".", id, id + ".", "x." + proof, id + "x." + proof, id + "." + proof + "x"} {
		if forged := whose(p, []*http.Cookie{{Name: amy[0].Name, Value: value}}); forged != "" {
			t.Errorf("%q is %s", value, forged)
		}
	}
	for _, hidden := range []string{p.household(at("192.0.2.1:1")), p.stranger(at("192.0.2.1:1")), who} {
		if strings.Contains(hidden, "192") || strings.Contains(hidden, id) {
			t.Errorf("%s says too much", hidden)
		}
	}
}

// Whoever throws his cookie away gets another only so often; then he is who has his address. Others do not notice.
func TestPersons_Cookies_Bounded(t *testing.T) {
	p := NewPersons(nil)
	people := map[string]bool{}
	for range 1000 {
		people[whose(p, come(p, "192.0.2.1:1", nil))] = true
	}
	if len(people) > cookiesAtOnce+3 { // a moment has passed, too
		t.Errorf("he is %d people", len(people))
	}
	if whose(p, come(p, "192.0.2.2:1", nil)) == "" {
		t.Error("another address gets no cookie")
	}
}

// Connections of one address are one person, wherever they come from in it.
func TestPersons_Stranger(t *testing.T) {
	p := NewPersons(nil)
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:1", "192.0.2.1:2", true},
		{"192.0.2.1:1", "192.0.2.2:1", false},
		{"[2001:db8::1]:1", "[2001:db8::2]:1", true}, // one customer
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
	} {
		if same := p.stranger(at(c.a)) == p.stranger(at(c.b)); same != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, same)
		}
	}
}

func TestSentences(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{TurnOf(messages.Turn{}), ""},
		{TurnOf(messages.Turn{Place: 3, In: 130e9}), "It plays in 2:10, third in the queue."},
		{TurnOf(messages.Turn{Place: 1, In: 3700e9, About: true}), "It plays in about 1:01:40, first in the queue."},
		{TurnOf(messages.Turn{Place: 22, In: -1}), "It is 22nd in the queue."},
		{TurnOf(messages.Turn{Place: 111, In: -1, Reason: "its file is not there"}), "It waits, 111th in the queue: its file is not there."},
		{choice(messages.Choice{Number: 12, Song: &messages.Song{Name: "ode.mp3", Title: "Ode to Joy", Artist: "Beethoven"}}), "12  Ode to Joy – Beethoven (ode.mp3)"},
		{choice(messages.Choice{Number: 3, Song: &messages.Song{Name: "ode.mp3"}}), "3  ode.mp3"},
		{
			waiting(messages.Waiting{Song: &messages.Song{Name: "a.mp3", Title: "A"}, By: "amy", Turn: messages.Turn{Place: 1, In: 61e9}}),
			"a.mp3 (A, for amy, in 1:01)",
		},
		{
			heard(messages.HeardSong{Song: &messages.Song{Name: "a.mp3"}, How: messages.Heard_HEARD_ENOUGH, Over: true}, 125e6),
			"a.mp3 (skipped, 2 min ago)",
		},
		{heard(messages.HeardSong{Song: &messages.Song{Name: "a.mp3"}, By: "amy"}, 1), "a.mp3 (for amy, now)"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
