package jetstream

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog"
)

// homeEvery is how often a register that is asked through another server tries to reach its own one.
const homeEvery = 5 * time.Second

// line is a register's own connection to NATS: to the server that has the register, if that can be reached, else to any other one. So
// a server that stands still is felt by the registers that it has, and by no other.
type line struct {
	store *Store
	every time.Duration // homeEvery, or less in tests

	mu     sync.Mutex
	on     link
	home   string            // the name of the server that has the register; empty: not known
	where  map[string]string // the servers' names, and at which of the known addresses each was reached last
	closed bool
}

// link is one connection; the zero value: none. It does not restore itself.
type link struct {
	conn *nats.Conn
	js   jetstream.JetStream
}

// to reports whether it leads to the server of that name; empty: to any.
func (l link) to(server string) bool {
	return l.conn != nil && l.conn.IsConnected() && (server == "" || l.conn.ConnectedServerName() == server)
}

func (l link) close() {
	if l.conn != nil {
		l.conn.Close()
	}
}

// now is what there is, and the register's server.
func (l *line) now() (on link, home string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.on, l.home
}

// lives notes which server has the register.
func (l *line) lives(server string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.home = server
}

// reach returns the connection to the register's server. If that cannot be reached, or is not known, it is one to another: the one that
// there is, or a new one.
func (l *line) reach(ctx context.Context) (link, error) {
	have, home := l.now()
	urls, known := l.urls(home)
	var failed error
	for i, url := range urls {
		if have.to(home) || have.to("") && known && i > 0 {
			break
		}
		next, err := l.dial(ctx, url)
		switch {
		case err != nil:
			failed = err
		case have.to("") && !next.to(home):
			next.close()
		default:
			if err := l.use(next); err != nil {
				return link{}, err
			}
			have = next
		}
	}
	if !have.to("") {
		return link{}, failed
	}
	return have, nil
}

// goHome connects to the register's server as soon as it can be reached, and closes done.
func (l *line) goHome(ctx context.Context, done chan<- struct{}) {
	again := time.NewTicker(l.every)
	defer again.Stop()
	for {
		_, _ = l.reach(ctx)
		if on, home := l.now(); on.to(home) {
			close(done)
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

func (l *line) dial(ctx context.Context, url string) (link, error) {
	conn, err := connect(ctx, url, append(l.store.cfg.options(), nats.NoReconnect(), nats.IgnoreDiscoveredServers())...)
	if err != nil {
		return link{}, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return link{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.where[conn.ConnectedServerName()] = url
	return link{conn, js}, nil
}

// use puts the connection in place of the old one.
func (l *line) use(next link) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		next.close()
		return eventlog.ErrClosed
	}
	l.on.close()
	l.on = next
	return nil
}

// urls are the addresses of the servers. If that of the named one is known, it is the first.
func (l *line) urls(server string) (all []string, known bool) {
	all = l.store.urls()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.Index(all, l.where[server])
	if at > 0 {
		all[0], all[at] = all[at], all[0]
	}
	return all, at >= 0
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.on.close()
}

// urls are the addresses of the servers, those that they have told of themselves last.
func (s *Store) urls() (all []string) {
	var user *url.Userinfo
	for one := range strings.SplitSeq(s.cfg.URL, ",") {
		all = append(all, strings.TrimSpace(one))
		if parsed, err := url.Parse(all[len(all)-1]); err == nil && user == nil {
			user = parsed.User
		}
	}
	for _, one := range s.conn.DiscoveredServers() {
		if parsed, err := url.Parse(one); err == nil && user != nil {
			parsed.User = user
			one = parsed.String()
		}
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

// connect is nats.Connect that ends with ctx.
func connect(ctx context.Context, urls string, options ...nats.Option) (*nats.Conn, error) {
	type answer struct {
		conn *nats.Conn
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		conn, err := nats.Connect(urls, options...)
		answers <- answer{conn, err}
	}()
	select {
	case a := <-answers:
		return a.conn, a.err
	case <-ctx.Done():
		go func() { // it takes no longer than all servers together may
			if a := <-answers; a.err == nil {
				a.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}
