package main

import (
	"context"
	"errors"
)

type serveCmd struct {
	Songs  string `default:"songs" placeholder:"DIR" help:"Folder of mp3 files; what is dropped in is played (${default})."`
	Listen string `default:":7000" placeholder:"HOST:PORT" help:"Port for requests; the stream is on the port after it. Port 0 takes a free pair (${default})."`
	HTTP   string `default:"127.0.0.1:8000" placeholder:"HOST:PORT" help:"Where the debug dump is (${default})."`
	Data   string `default:"${data}" placeholder:"DIR" help:"Folder of the event log; the queue lives on in it (${default})."`
}

// Help shows examples.
func (serveCmd) Help() string {
	return `When it can serve, it prints one line:

    ready requests=HOST:PORT stream=HOST:PORT http=HOST:PORT

` + examples(
		"conga serve", "play ./songs on ports 7000 and 7001",
		"conga serve --songs ~/Music --listen :9000", "another folder, ports 9000 and 9001",
		"printf 'SONGS\\nPLAY 2\\n' | nc localhost 7000", "ask for a song from anywhere",
	)
}

// Run serves until ctx ends.
func (c *serveCmd) Run(ctx context.Context, io *streams) error {
	return errors.New("the server is not wired yet")
}
