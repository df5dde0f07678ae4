package logbook

import (
	"context"
	"errors"
	"fmt"

	"conga/actors/eventlog"
	"conga/actors/eventlog/jetstream"
	"conga/actors/eventlog/sqlite"
)

// Shared names a log that is on servers of NATS; the zero value: it is a file in a folder.
type Shared struct {
	Log       string `placeholder:"URL" help:"Servers of NATS with JetStream that keep the event log, instead of a file in the --data folder: nats://a:4222,b:4222,c:4222. tls:// and USER:PASSWORD@ as NATS has them."`
	Radio     string `placeholder:"NAME" help:"With --log: the radio's name there."`
	NATSCreds string `name:"nats-creds" placeholder:"FILE" help:"With --log: file with the credentials for NATS."`
}

// Is reports whether the log is on servers.
func (s Shared) Is() bool { return s.Log != "" }

// Servers are the servers and the log on them.
func (s Shared) Servers() (jetstream.Config, error) {
	if s.Radio == "" {
		return jetstream.Config{}, errors.New("--log needs --radio NAME, too: servers of NATS keep the logs of many radios")
	}
	if err := jetstream.GoodRadio(s.Radio); err != nil {
		return jetstream.Config{}, fmt.Errorf("--radio: %w", err)
	}
	return jetstream.Config{URL: s.Log, Radio: s.Radio, Creds: s.NATSCreds}, nil
}

// home is where a log is.
type home struct {
	dir string
	Shared
}

// String names it as a sentence does.
func (h home) String() string {
	if h.Is() {
		return "NATS (" + h.Radio + ")"
	}
	return h.dir
}

// kind is what one names to name it.
func (h home) kind() string {
	if h.Is() {
		return "radio"
	}
	return "folder"
}

// flags are what names it to another command.
func (h home) flags() string {
	if h.Is() {
		return fmt.Sprintf("--log %s --radio %s", jetstream.Config{URL: h.Log}.Where(), h.Radio)
	}
	return "--data " + h.dir
}

// reader opens the log for reading, also while its server runs.
func (h home) reader(ctx context.Context) (eventlog.Store, error) {
	return h.open(ctx, sqlite.OpenReader, jetstream.OpenReader)
}

// damaged is reader for a log whose last events are lost.
func (h home) damaged(ctx context.Context) (eventlog.Store, error) {
	return h.open(ctx, sqlite.OpenDamaged, jetstream.OpenReader)
}

// writer opens the log for writing, and makes it if there is none.
func (h home) writer(ctx context.Context) (eventlog.Store, error) {
	return h.open(ctx, sqlite.Open, jetstream.Open)
}

func (h home) open(ctx context.Context, folder func(string) (*sqlite.Store, error), servers func(context.Context, jetstream.Config) (*jetstream.Store, error)) (eventlog.Store, error) {
	if !h.Is() {
		store, err := folder(h.dir)
		if err != nil {
			return nil, err // no *sqlite.Store that is nil
		}
		return store, nil
	}
	cfg, err := h.Servers()
	if err != nil {
		return nil, err
	}
	store, err := servers(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return store, nil
}
