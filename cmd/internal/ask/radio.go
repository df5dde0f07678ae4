package ask

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/node"
	"conga/cmd/internal/picture"
	"conga/messages"
	"conga/messages/plain"
	"conga/transport"
)

const (
	// radioPatience is how long a radio may take for one answer.
	radioPatience = 20 * time.Second
	// maxAnswer bounds an answer: a thousand listeners and a queue take less.
	maxAnswer = 4 << 20
	// maxSongs is how many songs are taken from a radio, which may say that there is always one more.
	maxSongs = 500_000
	// maxStock bounds what a server says of its songs.
	maxStock = 100
	// tooFast is how long to wait before asking again a radio that says it is asked too often.
	tooFast = time.Second
)

// Radio is a server that is asked what anybody may ask it: at its request port, over TLS. Its key is checked. It may be asked several
// things at once.
type Radio struct {
	Ring  keys.Ring // the caller's until the first question; Asked tells what has become of it
	Token string    // empty: none

	entering sync.Mutex // one at a time begins or goes elsewhere; before mu

	mu       sync.Mutex // guards Ring and what follows
	standsBy string
	stock    Stock
	client   *http.Client
	key      ed25519.PublicKey // the radio's, as it was proved last
}

// Stock is what a server that stands by says of the radio's songs: that it lacks some, or that it has all. It says nothing while it
// does not know.
type Stock struct{ Lacks, Has string }

// Asked returns which server is asked, and one that was asked before and has sent us to that one, because it stands by; empty: none
// did.
func (r *Radio) Asked() (server, standsBy string, stock Stock) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Ring.Server, r.standsBy, r.stock
}

func (r *Radio) server() string { return r.ring().Server }

func (r *Radio) ring() keys.Ring {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Ring
}

// http is the client; nil: the radio has not been entered yet.
func (r *Radio) http() *http.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.client
}

// elsewhere: the server stands by.
type elsewhere struct {
	leads string
	stock Stock
}

func (e elsewhere) Error() string { return "this server stands by: " + e.leads + " leads" }

// sentTo returns where a server that stands by sends who asks.
func sentTo(answer *http.Response) error {
	if at, err := answer.Location(); err == nil && answer.StatusCode == http.StatusTemporaryRedirect {
		says := func(header string) string { return plain.Text(answer.Header.Get(header), maxStock) }
		return elsewhere{at.Host, Stock{Lacks: says(node.LacksHeader), Has: says(node.HasHeader)}}
	}
	return nil
}

// anywhere asks, and if the server stands by, it asks the one that leads, which must have the same key. It does that once,
// because two that send us to each other would never end.
func (r *Radio) anywhere(ctx context.Context, ask func() error) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	err := ask()
	other := elsewhere{}
	if !errors.As(err, &other) {
		return err
	}
	if err := r.move(ctx, other); err != nil {
		return err
	}
	return ask()
}

// begin enters the radio if nobody has.
func (r *Radio) begin(ctx context.Context) error {
	r.entering.Lock()
	defer r.entering.Unlock()
	if r.http() != nil {
		return nil
	}
	return r.enter(ctx)
}

// move goes to the server that leads if nobody has.
func (r *Radio) move(ctx context.Context, to elsewhere) error {
	r.entering.Lock()
	defer r.entering.Unlock()
	if r.server() == to.leads {
		return nil
	}
	r.http().CloseIdleConnections()
	r.mu.Lock()
	r.Ring, r.standsBy, r.stock = r.Ring.At(to.leads, r.key), r.Ring.Server, to.stock
	r.mu.Unlock()
	return r.enter(ctx)
}

// Now is what a radio says of itself.
type Now struct {
	Now   picture.Now   `json:"now"`
	Queue picture.Queue `json:"queue"`
	Chain picture.Chain `json:"chain"`
	Lead  *picture.Lead `json:"lead"` // nil: it has one server
	// History are the songs that were heard, the newest first, without the one that is on.
	History []picture.Played `json:"history"`
}

// connect speaks TLS with the radio.
func (r *Radio) connect(ctx context.Context) (net.Conn, error) {
	ring := r.ring()
	first := ring.Server
	if r.Token != "" { // the token will be sent to whoever is at the other end
		switch known, err := ring.Knows(); {
		case err != nil:
			return nil, err
		case !known:
			return nil, fmt.Errorf("the token is said only to a server whose key is known: give the join link that it prints, conga://%s?key=KEY, or join it once", first)
		}
	}
	all := append([]string{first}, ring.Others...)
	has := make([]ed25519.PublicKey, len(all))
	conn, at, errs := transport.DialAny(ctx, all, func(ctx context.Context, i int, conn net.Conn) (net.Conn, error) {
		secure, err := transport.SpeakTLS(ctx, conn, func(key ed25519.PublicKey) error { has[i] = key; return ring.Check(key) })
		if err == nil {
			return secure, nil
		}
		_ = conn.Close()
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("what listens at %s hangs up: give the requests=HOST:PORT address of the server's ready line", all[i])
		}
		return nil, stranger{err}
	})
	if conn == nil {
		return nil, cli.Nobody(nobody(first, errs))
	}
	ring.Server, ring.Others = all[at], slices.Delete(slices.Clone(all), at, at+1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Ring.Server == first { // nobody has found another one meanwhile
		r.Ring = ring // its server is asked first from now on
	}
	r.key = has[at]
	_ = ring.Keep(r.key) // if the disk cannot, the answer still counts
	return conn, nil
}

// stranger is why somebody who answers is not the radio.
type stranger struct{ error }

func (s stranger) Unwrap() error { return s.error }

// nobody is why none of a radio's addresses has led to it, of which first was named first.
func nobody(first string, errs []error) error {
	for _, err := range errs {
		if s := (stranger{}); errors.As(err, &s) {
			return s.error
		}
	}
	return node.NobodyAt(first, errs[0])
}

// Now asks for what plays, what waits and who listens.
func (r *Radio) Now(ctx context.Context) (now Now, err error) {
	return now, r.get(ctx, "/now", &now)
}

// Songs asks for the songs that have all the words: the first page of them, or all.
func (r *Radio) Songs(ctx context.Context, words string, all bool) (found picture.Found, err error) {
	for {
		var page picture.Found
		query := url.Values{"q": {words}, "from": {strconv.Itoa(len(found.Songs))}}
		if err := r.get(ctx, "/songs?"+query.Encode(), &page); err != nil {
			return found, err
		}
		found.Songs, found.Total = append(found.Songs, page.Songs...), page.Total
		if len(found.Songs) > maxSongs {
			return found, fmt.Errorf("%s says that it has more than %d songs: say words of the one that you want", r.server(), maxSongs)
		}
		if !all || len(page.Songs) == 0 || len(found.Songs) >= found.Total {
			return found, nil
		}
	}
}

// get asks over HTTP and decodes the answer. If the radio says that it is asked too often, get asks again for a while.
func (r *Radio) get(ctx context.Context, path string, into any) error {
	return r.anywhere(ctx, func() error { return r.getHere(ctx, path, into) })
}

func (r *Radio) getHere(ctx context.Context, path string, into any) error {
	within, cancel := context.WithTimeout(ctx, radioPatience)
	defer cancel()
	for {
		body, code, err := r.do(ctx, http.MethodGet, path, nil)
		switch {
		case err != nil:
			return err
		case code == http.StatusTooManyRequests:
			select {
			case <-time.After(tooFast):
				continue
			case <-within.Done():
				return cmp.Or(ctx.Err(), r.refused(code, body))
			}
		case code != http.StatusOK:
			return r.refused(code, body)
		}
		if err := json.Unmarshal(body, into); err != nil {
			return fmt.Errorf("%s does not answer like this version of conga: %w", r.server(), err)
		}
		return nil
	}
}

// enter shows the token, if there is one. From then on the radio knows this client by a cookie.
func (r *Radio) enter(ctx context.Context) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	client := &http.Client{
		Jar: jar,
		Transport: &http.Transport{
			DialTLSContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return r.connect(ctx) },
			MaxResponseHeaderBytes: maxHead,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r.mu.Lock()
	r.client = client
	r.mu.Unlock()
	if r.Token == "" {
		return nil
	}
	said, err := json.Marshal(map[string]string{"token": r.Token})
	if err != nil {
		return err
	}
	body, code, err := r.do(ctx, http.MethodPost, "/enter", said)
	if err == nil && code != http.StatusOK && code != http.StatusNotFound { // a radio without a token has no /enter
		err = r.refused(code, body)
	}
	return err
}

func (r *Radio) do(ctx context.Context, method, path string, said []byte) (body []byte, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, radioPatience)
	defer cancel()
	// By a number: a radio answers to no name that a stranger could have given to its address. The connection is made by its name.
	request, err := http.NewRequestWithContext(ctx, method, "https://127.0.0.1"+path, bytes.NewReader(said))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	return r.answered(request, "ask "+r.server())
}

// answered sends the request and reads the answer. doing begins the error if that fails.
func (r *Radio) answered(request *http.Request, doing string) (body []byte, code int, err error) {
	answer, err := r.http().Do(request)
	if err != nil {
		if away := (cli.NotReached{}); errors.As(err, &away) {
			return nil, 0, away
		}
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, 0, fmt.Errorf("%s: %w", doing, err)
	}
	defer answer.Body.Close()
	if err := sentTo(answer); err != nil {
		return nil, 0, err
	}
	body, err = io.ReadAll(&bounded{answer.Body, maxAnswer})
	return body, answer.StatusCode, err
}

// refused is the radio's refusal, with its reason.
func (r *Radio) refused(code int, body []byte) error {
	var said struct{ Error string }
	if json.Unmarshal(body, &said) != nil || said.Error == "" {
		said.Error = string(body)
	}
	if code == http.StatusForbidden && r.Token == "" {
		said.Error = "it asks for a token: give it in CONGA_AUTH or with --auth"
	}
	return fmt.Errorf("%s refuses: %s", r.server(), plain.Text(said.Error, messages.MaxLine))
}

// Close gives the connections back.
func (r *Radio) Close() {
	if client := r.http(); client != nil {
		client.CloseIdleConnections()
	}
}

// standsBy is how a server answers each line that stands by.
const standsBy = "This server stands by"

// Say sends a line, as a person types it, and returns the answer's lines.
func (r *Radio) Say(ctx context.Context, line string) (answer []string, err error) {
	answer, err = r.sayHere(ctx, line)
	if err != nil || !strings.HasPrefix(answer[0], standsBy) {
		return answer, err
	}
	if err := r.get(ctx, "/now", &Now{}); err != nil { // that finds the one that leads
		return nil, err
	}
	return r.sayHere(ctx, line)
}

func (r *Radio) sayHere(ctx context.Context, line string) (answer []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, radioPatience)
	defer cancel()
	conn, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	said := plain.Text(line, messages.MaxLine-2) + "\nQUIT\n"
	if r.Token != "" {
		said = "AUTH " + r.Token + "\n" + said
	}
	if _, err := io.WriteString(conn, said); err != nil {
		return nil, fmt.Errorf("ask %s: %w", r.server(), err)
	}
	lines := bufio.NewScanner(&bounded{conn, maxAnswer})
	lines.Buffer(nil, messages.MaxLine)
	for lines.Scan() {
		if text := plain.Text(lines.Text(), messages.MaxLine); text != "" {
			answer = append(answer, text)
		}
	}
	if err := lines.Err(); err != nil && len(answer) == 0 {
		return nil, fmt.Errorf("ask %s: %w", r.server(), err)
	}
	if r.Token != "" && len(answer) > 0 && !strings.HasPrefix(answer[0], standsBy) {
		if !strings.HasPrefix(answer[0], "The token is right") && answer[0] != "No token is needed" {
			return nil, fmt.Errorf("%s refuses: %s", r.server(), answer[0])
		}
		answer = answer[1:]
	}
	if len(answer) == 0 {
		return nil, fmt.Errorf("%s says nothing: try again", r.server())
	}
	if strings.HasPrefix(answer[0], "This server wants its token first") {
		return nil, fmt.Errorf("%s asks for a token: give it in CONGA_AUTH or with --auth", r.server())
	}
	return answer, nil
}
