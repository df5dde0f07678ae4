package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"conga/actors/player"
	"conga/cmd/internal/address"
	"conga/cmd/internal/ask"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/console"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/live"
	"conga/cmd/internal/logbook"
	"conga/cmd/internal/node"
	"conga/cmd/internal/screen"
	"conga/messages"
	"conga/messages/plain"
	"conga/transport"
	"conga/transport/seed"
)

type joinCmd struct {
	Server    string     `arg:"" optional:"" name:"host[:port]" help:"The server's address for requests, HOST or HOST:PORT (port 7000 if you give none), or a join link, conga://HOST:PORT?key=KEY. A radio of several servers: all of them, with commas in between. Without it, the radio in the local network."`
	Name      string     `default:"${name}" placeholder:"NAME" help:"Name that the others see (${default})."`
	Output    string     `default:"speaker" words:"speaker,null,none,wav:" placeholder:"OUT" help:"Where you hear the music: speaker, null (plays silently), none (does not decode) or wav:FILE (records) (${default})."`
	Listen    listenAddr `default:":0" placeholder:"HOST:PORT" help:"Address at which the next listener connects; port 0 takes a free one (${default})."`
	Advertise string     `placeholder:"HOST:PORT" help:"Address at which others reach --listen, if a router forwards the port (as the server sees this machine)."`
	HTTP      httpAddr   `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Address of the debug dump and log, or off (${default})."`
	Data      string     `placeholder:"DIR" help:"Folder of this listener's log and key, or none (${listeners}/NAME)."`
	Key       string     `placeholder:"KEY" help:"The server's key, in base64 or hex (the key at your first join)."`

	Offset *offsetMs `placeholder:"MS" help:"How much later than it says your loudspeaker is heard, in milliseconds, or less than 0; conga plays so much earlier (what you set last for that device)."`

	At string `setting:"-" placeholder:"MOMENT" help:"Hear what was played from a moment on, 21:14 or 10m (ago), or the song that is on from its beginning: song. What is broadcast now is passed on all the same; the word LIVE returns to it. The server must allow it (conga serve --past)."`

	NoReplayGain bool `name:"no-replaygain" help:"Hear each song as loud as it is. Else ReplayGain tags are obeyed, so that all are about equally loud; a recording always has them as they are."`

	screenFlags
	debugFlags

	Feed    int `default:"1" placeholder:"N" help:"Pass the music on to so many listeners, at most 4: with 2, the chain branches here, and those below get it earlier. 0: to nobody (${default})."`
	Players int `default:"0" placeholder:"N" help:"Play for so many browsers and other players at --listen: the server sends them here (${default})."`
	tlsFlags
	SeedDialect bool `help:"The server is the Python program of 2016, or one that speaks like it."`

	FlagServer string `name:"server" placeholder:"HOST:PORT" help:"The same as the argument: for the environment and the file."`

	tokenFlag

	clicks bool // instead of the music: conga tune
}

// Help shows examples.
func (joinCmd) Help() string {
	return `On a terminal it shows what is heard, what comes, the songs and the chain; ? there tells the keys.
Elsewhere, and with --plain, it prints one line when it is ready:

    ready relay=HOST:PORT http=HOST:PORT

(relay=none with --feed 0). Then it reads lines: SONGS, PLAY <name or number>, REQUESTS, OFFSET MS, LIVE (after --at: back to what is broadcast now), HELP (which tells the others), END. Closing its input does not end it.
In the background (conga join … &) it plays on; after fg it reads the keyboard again.
At its end it prints a receipt: what it heard, what it lost, how close it came to silence.

` + cli.Examples(
		"conga join", "listen to the radio in the local network",
		"conga join radio.example", "listen on the loudspeaker",
		"conga join localhost:9000 --output null", "only pass the music on",
		"conga join localhost --output wav:take.wav", "record what is heard",
		"conga join radio.example --at 21:14", "hear again what was on at 21:14",
		"conga join old.example:9000 --seed-dialect", "listen in the chain of the Python program of 2016",
	)
}

// Validate refuses what could not be played to, before anything is started.
func (c *joinCmd) Validate() error {
	if c.Server == "" {
		c.Server = c.FlagServer
	}
	file, isWAV := strings.CutPrefix(c.Output, "wav:")
	switch {
	case isWAV && file == "":
		return errors.New("--output wav: needs a file, as in wav:take.wav")
	case !isWAV && !slices.Contains([]string{"speaker", "null", "none"}, c.Output):
		return fmt.Errorf("--output %s is not one of speaker, null, none, wav:FILE", c.Output)
	case c.HTTP.takes(c.Listen, 1):
		return errors.New("--http has the same port as --listen: choose another")
	case c.Players < 0 || c.Players > maxPlayers:
		return fmt.Errorf("--players is a number from 0 to %d", maxPlayers)
	case c.Feed < 0 || c.Feed > messages.MaxFeed:
		return fmt.Errorf("--feed is a number from 0 to %d", messages.MaxFeed)
	case c.Feed != 1 && c.SeedDialect:
		return errors.New("--feed is for the chain of a native server: leave it out with --seed-dialect")
	case c.Feed == 0 && c.Players > 0:
		return errors.New("--feed 0 passes the music on to nobody, so it cannot play for others, either: leave out --feed or --players")
	case c.At != "" && c.SeedDialect:
		return errors.New("a server of 2016 keeps no past: leave out --at with --seed-dialect")
	case c.Players > 0 && c.SeedDialect:
		return errors.New("--players is for players that a native server sends here: leave it out with --seed-dialect")
	case len(c.Name) > messages.MaxName:
		return fmt.Errorf("--name is longer than %d bytes", messages.MaxName)
	case plain.Text(c.Name, messages.MaxName) == "":
		return errors.New("--name is empty: give a name, or leave it out to use your user name")
	}
	if c.Advertise != "" {
		addr, err := address.ListenAt(c.Advertise, "", address.RequestsPort)
		if _, port, _ := net.SplitHostPort(addr); err == nil && port == "0" {
			err = fmt.Errorf("%s: nobody can connect to port 0", c.Advertise)
		}
		if err != nil {
			return fmt.Errorf("--advertise: %w", err)
		}
		c.Advertise = addr
	}
	if c.Server == "" {
		if c.SeedDialect || c.Key != "" {
			return errors.New("give the server's address, too: only a server that is named can be asked for that")
		}
		return c.validate()
	}
	if _, err := c.ring(); err != nil {
		return err
	}
	switch addrs, key, _ := keys.ParseServers(c.Server); {
	case c.SeedDialect && (key != nil || c.Key != ""):
		return errors.New("a server of 2016 has no key: leave out either the key or --seed-dialect")
	case c.SeedDialect && len(addrs) > 1:
		return errors.New("a radio of 2016 has one server: name only that with --seed-dialect")
	}
	return c.validate()
}

// ring is where the servers are, and which key they must have.
func (c *joinCmd) ring() (keys.Ring, error) {
	addrs, key, err := keys.ParseServers(c.Server)
	if err != nil {
		return keys.Ring{}, err
	}
	if c.Key == "" {
		return keys.NewRing(addrs[0], key, node.DataDir(), addrs[1:]...), nil
	}
	given, err := keys.Parse(c.Key)
	if err == nil && key != nil && !given.Equal(key) {
		err = errors.New("--key is not the key in the join link")
	}
	return keys.NewRing(addrs[0], given, node.DataDir(), addrs[1:]...), err
}

// Run listens until END or until ctx ends.
func (c *joinCmd) Run(ctx context.Context, streams *cli.Streams) error {
	if c.Players == 0 && c.TLSCert+c.TLSKey != "" {
		return errors.New("--tls-cert and --tls-key are for players: say with --players N for how many, too")
	}
	if c.Server == "" {
		found, err := findRadio(ctx, streams)
		if err != nil {
			return err
		}
		c.Server = found
	}
	ring, err := c.ring()
	if err != nil {
		return err
	}
	debug, err := node.ListenDebug(string(c.HTTP))
	if err != nil {
		return err
	}
	show := c.shown(streams)
	defer show.rest(streams.Err)
	debug.Profiles = c.PProf
	debug.WarnOpen(show.logger)
	var programme live.Programme
	listener, err := c.start(ctx, ring, debug.Advertised(), &programme, show.logger)
	if err != nil {
		return errors.Join(err, debug.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := debug.Serve(ctx, listener.Music(), listener.Watched(programme.Away))
	go func() {
		select {
		case <-ctx.Done():
		case <-listener.Lost():
			cancel()
		}
	}()
	cli.Notify(cli.Ready)
	context.AfterFunc(ctx, func() { cli.Notify(cli.Stopping) })
	var shown error
	ready := fmt.Sprintf("ready relay=%s http=%s\n", cmp.Or(listener.Client.Node().GetRelay(), "none"), debug)
	if show.pane != nil {
		fmt.Fprint(streams.Screen, ready) // it is there again when the picture has gone
		of := live.Listener{Listener: listener, Programme: &programme, Pane: show.pane, Server: ring.Server, Output: c.Output, Clicks: c.clicks}
		shown = screen.Picture(ctx, of.Source(ctx), streams.In, streams.Screen, streams.Locale)
		cancel()
	} else {
		fmt.Fprint(streams.Out, ready)
		go func() {
			if answerLines(ctx, live.Answering(listener, c.clicks), show.in, streams.Out) {
				cancel()
			}
		}()
	}
	<-ctx.Done()
	streams.Part()
	return errors.Join(listener.Farewell(streams.Out), <-served, listener.Over(), shown)
}

// start starts the listener, which others can debug at the address http.
func (c *joinCmd) start(ctx context.Context, ring keys.Ring, http string, programme *live.Programme, logger *slog.Logger) (*node.Listener, error) {
	output, err := player.ParseOutput(c.Output)
	if err != nil {
		return nil, err
	}
	secure, err := c.browsers(logger)
	if err != nil {
		return nil, err
	}
	playsAs, err := secure.reachedAs(c.Advertise)
	if err != nil {
		return nil, err
	}
	kept := c.Data
	if c.clicks { // the listener itself may run, too
		kept = node.NoData
	}
	journal, err := node.OpenJournal(kept, node.ListenersDir(), c.Name, logger)
	if err != nil {
		return nil, err
	}
	offsets := journal.Offsets(c.Offset.given(), logger)
	if c.clicks {
		offsets = node.OpenOffsets(node.ListenerFolder(c.Data, c.Name), nil, logger)
	}
	line := transport.NewLine(ring.Server, nil)
	radio, listen, err := c.tune(ctx, ring, line)
	if err != nil {
		return nil, errors.Join(err, journal.Abandon())
	}
	if radio != nil {
		logger.Warn("a server of 2016 does not sign its music: you hear whatever the nodes above send")
	}
	past, moment, err := c.past(ctx, ring)
	if err != nil {
		return nil, errors.Join(err, journal.Abandon())
	}
	return node.StartListener(ctx, node.ListenerOptions{
		Past: past, Moment: moment,
		Server: ring.Server, Servers: ring.Others, Line: line, Keys: ring, Token: c.token(), Name: c.Name, Listen: listen, Radio: radio, Advertise: c.Advertise, Output: output, Logger: logger,
		Journal: journal, HTTP: http, Players: c.Players, Secure: secure.certificate, PlaysAs: playsAs, Leaf: c.Feed == 0, Feed: c.Feed, AsItIs: c.NoReplayGain, Offsets: offsets, Clicks: c.clicks,
		News:   func(news *messages.Playing) { takeNews(logger, programme, news) },
		Turned: func(song *messages.SongChange) { nowPlaying(logger, song, programme) },
	})
}

// past is where the past comes from, and from when on; nil: what is broadcast now is heard. It fails if the server does not
// play it.
func (c *joinCmd) past(ctx context.Context, ring keys.Ring) (open func(context.Context, string) (io.ReadCloser, error), moment string, err error) {
	switch c.At {
	case "":
		return nil, "", nil
	case "song":
		moment = c.At
	default:
		at, err := logbook.When(c.At, time.Now())
		if err != nil {
			return nil, "", fmt.Errorf("--at %w, or song for the beginning of the song that is on", err)
		}
		moment = at.Format(time.RFC3339Nano)
	}
	radio := &ask.Radio{Ring: ring, Token: c.token()}
	first, err := radio.Past(ctx, moment)
	return func(ctx context.Context, moment string) (io.ReadCloser, error) {
		if body := first; body != nil {
			first = nil
			return body, nil
		}
		return radio.Past(ctx, moment)
	}, moment, err
}

// takeNews says if from now on nothing is broadcast: then nobody's line is to blame.
func takeNews(logger *slog.Logger, programme *live.Programme, news *messages.Playing) {
	before := programme.Away()
	programme.Add(news)
	if away := news.GetAway(); away != "" && before == "" {
		logger.Warn("nothing is broadcast until the server has its songs again", "reason", plain.Text(away, messages.MaxLine))
	}
}

// nowPlaying says what is heard from now on.
func nowPlaying(logger *slog.Logger, song *messages.SongChange, programme *live.Programme) {
	about := []any{"song", song.GetSong(), "title", song.GetTitle(), "artist", song.GetArtist()}
	if asked := programme.Asked(song.GetSong(), song.GetPlayAtUnixUs()); asked != "" {
		about = append(about, "askedBy", asked)
	}
	logger.Info("now playing", about...)
}

// tune joins a server of the seed's kind, which says on which port this listener is to
// listen; --listen says only on which address.
func (c *joinCmd) tune(ctx context.Context, ring keys.Ring, line *transport.Line) (*seed.Radio, string, error) {
	server := ring.Server
	if !c.SeedDialect {
		if len(ring.Others) == 0 && seed.Recognize(ctx, server, line) {
			return nil, "", fmt.Errorf("%s is a server of 2016, which does not sign its music: conga join %s --seed-dialect plays it on trust", server, server)
		}
		return nil, string(c.Listen), nil
	}
	host, _, err := net.SplitHostPort(string(c.Listen))
	if err != nil {
		return nil, "", fmt.Errorf("--listen %s is not HOST:PORT: %w", c.Listen, err)
	}
	radio, err := seed.Tune(ctx, server)
	if err != nil {
		return nil, "", err
	}
	return radio, net.JoinHostPort(host, strconv.Itoa(int(radio.Port()))), nil
}

// answerLines has each line answered and prints the answer, one after the other. It
// returns true at END; the end of the input is not END.
func answerLines(ctx context.Context, answer func(context.Context, string) []string, in io.Reader, out io.Writer) (end bool) {
	return console.Talk(ctx, in, answer, func(lines ...string) {
		for _, line := range lines {
			fmt.Fprintln(out, said(line))
		}
	})
}

// said is a line of the server's answer as it is printed: whoever reads the output can tell
// it from what this command says by itself, the ready line and the receipt.
func said(line string) string {
	line = plain.Text(line, messages.MaxLine)
	switch word, _, _ := strings.Cut(line, " "); word {
	case "ready", "receipt":
		return "> " + line
	}
	return line
}
