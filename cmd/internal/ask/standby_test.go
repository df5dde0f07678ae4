package ask

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/node"
)

// kept is a log that outlives its handles.
type kept struct{ eventlog.Store }

func (kept) Close() error { return nil }

// members starts two servers of a radio, and returns where they are. They end with ctx, and then say why.
func members(ctx context.Context, t *testing.T) (leader, standby string, ended <-chan error) {
	t.Helper()
	log, claims, key := kept{eventlog.NewMemory()}, []eventlog.Claims{eventlog.NewClaims()}, keys.New()
	leads, follows, ends := make(chan *node.Server, 2), make(chan *node.Standby, 2), make(chan error, 2)
	start := func() {
		ends <- node.Member(ctx, node.MemberOptions{
			ServerOptions: node.ServerOptions{
				Songs: "../../../songs", Unwatched: true, Listen: "127.0.0.1:0", Past: 1, Data: node.Data{Key: key}, Logger: slog.New(slog.DiscardHandler),
			},
			Read: func() (eventlog.Store, error) { return log, nil },
			Write: func(fence func(eventlog.Store) eventlog.Store, _ func(error)) (node.Data, error) {
				return node.Data{Store: fence(log), Key: key}, nil
			},
			Claims: claims, Lease: time.Second,
			Led:      func(_ context.Context, s *node.Server) { leads <- s },
			Followed: func(_ context.Context, s *node.Standby) { follows <- s },
		})
	}
	go start()
	leader = (<-leads).Requests.Addr().String()
	go start()
	for standby = leader; standby == leader; { // the leader may have followed first
		standby = (<-follows).Requests.String()
	}
	return leader, standby, ends
}

// A server that stands by sends whoever asks to the one that leads, as safely as they came.
func TestRadio_StandsBy(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	leader, standby, ended := members(ctx, t)
	browser := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, scheme := range []string{"http", "https"} {
		answer, err := browser.Get(scheme + "://" + standby + "/live")
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if to := answer.Header.Get("Location"); to != scheme+"://"+leader+"/live" {
			t.Errorf("%s leads to %q", scheme, to)
		}
	}

	radio := &Radio{Ring: keys.NewRing(standby, nil, t.TempDir())}
	defer radio.Close()
	within, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	for again := time.NewTicker(50 * time.Millisecond); ; {
		music, err := radio.Past(within, "song")
		if err == nil {
			_ = music.Close()
			break
		}
		if !strings.Contains(err.Error(), "song is on") {
			t.Fatal(err)
		}
		<-again.C // the first song begins
	}
	if asked, _, _ := radio.Asked(); asked != leader {
		t.Errorf("%s was asked", asked)
	}
	other := &Radio{Ring: keys.NewRing(standby, nil, t.TempDir())}
	defer other.Close()
	if said, err := other.Say(within, "PLAY bach"); err != nil || !strings.Contains(said[0], "has been requested") {
		t.Errorf("it says %q, %v", said, err)
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// A radio is asked several things at once, of which each may be the first, and each is sent to the server that leads.
func TestRadio_AtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	leader, standby, ended := members(ctx, t)
	radio := &Radio{Ring: keys.NewRing(standby, nil, t.TempDir())}
	defer radio.Close()
	var asked sync.WaitGroup
	for range 4 {
		asked.Go(func() {
			if now, err := radio.Now(ctx); err != nil || now.Lead == nil {
				t.Errorf("%+v, %v", now, err)
			}
		})
	}
	asked.Wait()
	if server, by, _ := radio.Asked(); server != leader || by != standby {
		t.Errorf("%s was asked, and %s stands by", server, by)
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
