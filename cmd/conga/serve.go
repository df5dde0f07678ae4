package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"conga/actors/eventlog"
	"conga/cmd/internal/address"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/live"
	"conga/cmd/internal/logbook"
	"conga/cmd/internal/node"
	"conga/cmd/internal/screen"
	"conga/messages"
)

// songsPatience is how long the first look at the songs folder may hold up that the server is ready.
const songsPatience = 2 * time.Second

// garbage is how much garbage there may be, in percent of what is in use. While the log and a large folder are read, little
// of it lives on; afterwards little is made.
const garbage = 25

// mostLog is how many megabytes of log may be kept: a terabyte.
const mostLog = 1 << 20

// mostDays is for how many days events may be kept: longer than a server will be there.
const mostDays = 36_500

// mostConverted is how many gigabytes of converted songs may be kept.
const mostConverted = 1 << 20

type serveCmd struct {
	Songs  string     `default:"songs" placeholder:"DIR" help:"Folder of your music, in subfolders, too; you may add and remove songs at any time. What is not mp3 is converted, if ffmpeg is installed. With --servers, nats: only songs that another server shares (${default})."`
	Listen listenAddr `default:":7000" placeholder:"HOST:PORT" help:"Port for requests; the next port is for the stream. Port 0 takes a free pair (${default})."`
	HTTP   httpAddr   `default:"127.0.0.1:8000" placeholder:"HOST:PORT" help:"Address of the debug dump and log, or off (${default})."`
	Data   string     `default:"${data}" placeholder:"DIR" help:"Folder of the event log, the queue and the server's key (${default})."`
	logbook.Shared
	All []string `name:"servers" placeholder:"HOST:PORT,…" help:"With --log: the request ports of all servers of this radio, this one too, as listeners reach them. One leads; when it is gone, another takes over. Give the same to each."`

	shareFlags

	TakeOver bool `setting:"-" help:"With --log and without --servers: take the log from another server of this radio, which then ends. Else a second one is refused."`

	Keep    int   `default:"30" placeholder:"DAYS" help:"For how many days the event log keeps events; older ones are folded into the state they led to. 0 keeps all (${default})."`
	KeepLog int64 `default:"64" placeholder:"MB" help:"Size of the event log; beyond it the oldest events are folded, too. 0: any size (${default})."`

	Converted    string `placeholder:"DIR" help:"Folder of the mp3 files that are made of other music; by default in the --data folder, converted."`
	ConvertedMax int64  `default:"20" placeholder:"GB" help:"Size of that folder; what was used longest ago goes first (${default})."`

	Slack time.Duration `default:"2s" placeholder:"TIME" help:"How long before it is heard music is sent, from 1s to 6s. With less, requests and skips are heard sooner; with more, a long chain on bad lines survives more. A change is valid from the next song on, and not heard (${default})."`

	queueFlags
	uploadFlags

	Playlist string `placeholder:"FILE" help:"An m3u or m3u8 file, read at the start: what plays when nobody has asked for anything. Without it, songs picked at random."`
	Shuffle  bool   `help:"Play the playlist in another order each time."`

	tokenFlag
	limitFlags
	screenFlags
	debugFlags

	WebName []string `placeholder:"NAME" help:"A name by which people open the page, radio.example, or the public address of a router before this machine: what guests are told names it first. The page answers to no other name, for any stranger can point a name of his own here; to addresses it always does."`

	tlsFlags

	Chains chains `default:"1" placeholder:"N" help:"Feed so many listeners, each the first of a chain of its own: the music goes out so many times, and each chain is so many times shorter. auto: one, and up to four while the chain is so long that its end could hear it when a listener dies (${default})."`

	Players int `default:"8" placeholder:"N" help:"Play for so many browsers and other players itself, if no listener with --players can; the server sends the music once more to each (${default})."`

	Past int `default:"2" placeholder:"N" help:"Let so many at a time hear what was played earlier, on the page or with conga join --at; the server sends the music once more to each. 0: nobody (${default})."`

	NoMDNS bool `name:"no-mdns" help:"Do not tell the local network that this radio is here."`
}

// Help shows examples.
func (serveCmd) Help() string {
	return `On a terminal it shows who listens, what plays and what is asked for; ? there tells the keys.
Elsewhere, and with --plain, it prints one line when it is ready:

    ready requests=HOST:PORT stream=HOST:PORT http=HOST:PORT

` + cli.Examples(
		"conga serve", "play ./songs on ports 7000 and 7001",
		"conga serve --songs ~/Music --listen :9000", "another folder, ports 9000 and 9001",
		"printf 'SONGS\\nPLAY 2\\n' | nc localhost 7000", "ask for a song from anywhere",
	)
}

// Validate refuses what would let in everybody, or nobody.
func (c *serveCmd) Validate() error {
	_, port, _ := net.SplitHostPort(string(c.Listen))
	switch {
	case c.Keep < 0 || c.Keep > mostDays:
		return fmt.Errorf("--keep is a number of days from 1 to %d, or 0 to keep all", mostDays)
	case c.KeepLog < 0 || c.KeepLog > mostLog:
		return fmt.Errorf("--keep-log is a number of megabytes from 1 to %d, or 0 to keep all", mostLog)
	case c.Slack < messages.MinSlack || c.Slack > messages.MaxSlack:
		return fmt.Errorf("--slack is a time from %v to %v: with less, not even a short chain could mend itself before somebody hears it; with more, nodes would have to keep too much", messages.MinSlack, messages.MaxSlack)
	case c.ConvertedMax < 1 || c.ConvertedMax > mostConverted:
		return fmt.Errorf("--converted-max is a number of gigabytes from 1 to %d", mostConverted)
	case c.Songs == "":
		return errors.New("--songs is empty: name the folder that your music is in")
	case c.Data == "":
		return errors.New("--data is empty: name a folder, or leave it out to use the usual one")
	case port == "65535":
		return errors.New("--listen: the stream is on the port after that of the requests, so 65534 is the last one")
	case c.Players < 1 || c.Players > maxPlayers:
		return fmt.Errorf("--players is a number from 1 to %d", maxPlayers)
	case c.Past < 0 || c.Past > maxPlayers:
		return fmt.Errorf("--past is a number from 0 to %d", maxPlayers)
	case c.HTTP.takes(c.Listen, 2):
		return errors.New("--http has the same port as --listen or as the stream, which is on the port after it: choose another")
	}
	for i, name := range c.WebName {
		name = strings.TrimSpace(name)
		if name == "" || strings.ContainsAny(name, "/ ?#@") || strings.Contains(name, ":") && net.ParseIP(strings.Trim(name, "[]")) == nil {
			return fmt.Errorf("--web-name %q is not a name, as radio.example, nor an address: leave out what is before and behind it", name)
		}
		c.WebName[i] = name
	}
	return errors.Join(c.validateServers(), c.shareFlags.validate(), c.tokenFlag.validate(), c.limitFlags.validate(), c.queueFlags.validate(), c.uploadFlags.validate())
}

// chains is how many listeners the server feeds.
type chains struct{ usual, most int }

// UnmarshalText reads a number, or auto.
func (c *chains) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*c = chains{1, messages.AutoChains}
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 || n > messages.MaxChains {
		return fmt.Errorf("it is a number from 1 to %d, or auto", messages.MaxChains)
	}
	*c = chains{usual: n}
	return nil
}

// Run serves until ctx ends.
func (c *serveCmd) Run(ctx context.Context, io *cli.Streams) error {
	if c.Shuffle && c.Playlist == "" { // each may be a setting: Validate sees one without the other
		return errors.New("--shuffle is the order of a playlist: give --playlist FILE, too; without one, songs are picked at random")
	}
	if len(c.All) > 0 && !c.Is() {
		return errors.New("--servers is for servers that share a log: give --log and --radio, too")
	}
	if err := c.shared(); err != nil {
		return err
	}
	if c.TakeOver && (len(c.All) > 0 || !c.Is()) {
		return errors.New("--take-over is for the only server of a radio whose log is on servers of NATS: leave it out")
	}
	return logbook.Salvage(c.Data, c.serve(ctx, io))
}

func (c *serveCmd) serve(ctx context.Context, io *cli.Streams) error {
	if err := node.CheckSongs(c.Songs, c.Data); err != nil {
		return err
	}
	playlist, err := c.playlist()
	if err != nil {
		return err
	}
	http, err := node.ListenDebug(string(c.HTTP)) // before anything plays
	if err != nil {
		return err
	}
	if len(c.All) > 0 {
		c.Plain = true // a picture is of one server
	}
	show := c.shown(io)
	defer show.rest(io.Err)
	logger := show.logger
	http.Profiles = c.PProf
	http.WarnOpen(logger)
	playlist.Warn(logger)
	if len(c.All) > 0 {
		return c.member(ctx, io, http, playlist, logger)
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	server, browsers, err := c.start(ctx, playlist, end, logger)
	if err != nil {
		return errors.Join(unlessStopped(ctx, err), http.Close())
	}
	served := http.Serve(ctx, server.Music(), server.Watched())
	select { // whoever reads "ready" asks for songs at once
	case <-server.Server.SongsKnown():
	case <-time.After(songsPatience): // a large folder, or a slow one: the first of its songs are known
	case <-ctx.Done():
	}
	invite := c.invite(server.Requests.Addr(), server.Key, browsers, logger)
	defer invite.withdraw()
	cli.Notify(cli.Ready)
	context.AfterFunc(ctx, func() { cli.Notify(cli.Stopping) })
	var drawn error
	ready := fmt.Sprintf("ready requests=%s stream=%s http=%s\n",
		address.Shown(server.Requests.Addr()), address.Shown(server.Stream.Addr()), http)
	if show.pane != nil {
		fmt.Fprint(io.Screen, ready) // it is there again when the picture has gone
		of := live.Server{Server: server, Pane: show.pane, Head: invite.lines, Code: invite.code, CodeText: invite.open}
		drawn = screen.Picture(ctx, of.Source(ctx), io.In, io.Screen, io.Locale)
		end(nil)
	} else {
		fmt.Fprint(io.Out, ready)
		invite.print(io)
	}
	err = <-served // it ends with ctx
	err = errors.Join(drawn, err, server.Stop())
	if errors.Is(context.Cause(ctx), eventlog.ErrConflict) {
		return fmt.Errorf("this server has ended, because another one has taken its log and serves the radio %s now", c.Radio)
	}
	return err
}

// unlessStopped is an error of the start, which is none if it is only that it was stopped.
func unlessStopped(ctx context.Context, err error) error {
	if stopped := ctx.Err(); stopped != nil && errors.Is(err, stopped) {
		return nil
	}
	return err
}

// data opens the log, the key and what else is kept. lost is called if another server has written to the log.
func (c *serveCmd) data(ctx context.Context, lost func(error), logger *slog.Logger) (node.Data, error) {
	if !c.Is() {
		return node.OpenData(c.Data, c.Songs, logger)
	}
	servers, err := c.Servers()
	if err != nil {
		return node.Data{}, err
	}
	requests, stream, err := address.ListenPair(string(c.Listen)) // who cannot be reached takes the log from nobody
	if err != nil {
		return node.Data{}, err
	}
	c.Listen = listenAddr(requests.Addr().String())
	if err := errors.Join(requests.Close(), stream.Close()); err != nil {
		return node.Data{}, err
	}
	return node.OpenSole(ctx, servers, c.Data, c.Songs, address.Outward(requests.Addr())[0], c.TakeOver, lost, logger)
}

// start starts the server. browsers is how they know it.
func (c *serveCmd) start(ctx context.Context, playlist node.Playlist, lost func(error), logger *slog.Logger) (*node.Server, browsers, error) {
	browsers, err := c.browsers(logger)
	if err != nil {
		return nil, browsers, err
	}
	if usual := debug.SetGCPercent(garbage); usual < garbage {
		debug.SetGCPercent(usual) // GOGC
	}
	o := c.options(browsers, playlist, logger)
	for tries := 1; ; tries++ {
		server, err := c.try(ctx, o, lost, logger)
		if err == nil || !c.TakeOver || tries == takes || !errors.Is(err, eventlog.ErrFenced) {
			return server, browsers, err
		}
	}
}

// takes is how often a server tries to take the log from another, which may write first.
const takes = 20

func (c *serveCmd) try(ctx context.Context, o node.ServerOptions, lost func(error), logger *slog.Logger) (*node.Server, error) {
	taken := make(chan error, 1)
	data, err := c.data(ctx, func(why error) { taken <- why }, logger)
	if err != nil {
		return nil, err
	}
	o.Data, o.Listen = data, string(c.Listen)
	server, err := node.StartServer(o)
	if err != nil {
		return nil, err
	}
	go func() {
		select {
		case <-server.Server.SongsKnown():
		case <-ctx.Done():
		}
		debug.FreeOSMemory() // what the start has used is not needed again
	}()
	go func() {
		select {
		case why := <-taken:
			lost(why)
		case <-ctx.Done():
		}
	}()
	return server, nil
}

// options are the server's, without its data.
func (c *serveCmd) options(browsers browsers, playlist node.Playlist, logger *slog.Logger) node.ServerOptions {
	return node.ServerOptions{
		Songs: c.Songs, Listen: string(c.Listen), Logger: logger,
		Token: c.token(), WebNames: append(browsers.names, c.WebName...), Browsers: browsers.certificate, Players: c.Players, Past: c.Past, Limits: c.limits(c.Players + c.Past), Uploads: c.bounds(), SeedListeners: c.SeedListeners, KeepLog: c.KeepLog << 20, Keep: time.Duration(c.Keep) * 24 * time.Hour,
		Converted: cmp.Or(c.Converted, filepath.Join(c.Data, "converted")), ConvertedMost: c.ConvertedMax << 30,
		Rules: c.rules(), Playlist: playlist, Slack: c.Slack, Chains: c.Chains.usual, ChainsAtMost: c.Chains.most,
	}
}

// playlist is what plays when nobody has asked for anything; the zero value: songs picked at random.
func (c *serveCmd) playlist() (node.Playlist, error) {
	if c.Playlist == "" {
		return node.Playlist{}, nil
	}
	return node.ReadPlaylist(c.Playlist, c.Songs, c.Shuffle)
}
