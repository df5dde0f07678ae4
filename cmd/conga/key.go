package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/term"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/console"
	"conga/cmd/internal/keys"
)

// keyCmd is conga key.
type keyCmd struct {
	Export keyExportCmd `cmd:"" help:"Write a radio's key into a file."`
	Import keyImportCmd `cmd:"" help:"Give a data folder a radio's key."`
}

// Help shows examples.
func (keyCmd) Help() string {
	return `A radio is its key: listeners refuse a server that has another. A second server of the same radio, on another
machine, needs a copy. Whoever has the key can speak as this radio, so carry it yourself, or encrypted.

` + cli.Examples(
		"conga key export radio.key --passphrase", "asks for a passphrase, and encrypts the key",
		"conga key import radio.key --data second", "then conga serve --data second",
	)
}

type keyExportCmd struct {
	File       string `arg:"" name:"file" help:"A new file, which only you may read."`
	Data       string `default:"${data}" placeholder:"DIR" help:"The server's --data folder (${default})."`
	Passphrase bool   `setting:"-" help:"Ask for a passphrase, and encrypt the key with it; if this is no terminal, it is the first line of the input."`
}

// Help shows examples.
func (keyExportCmd) Help() string {
	return cli.Examples(
		"conga key export radio.key --passphrase", "for a stick, or a message",
		"conga key export /media/stick/radio.key", "not encrypted: whoever finds the stick has your radio",
	)
}

// Run prints nothing of the secret.
func (c *keyExportCmd) Run(_ context.Context, streams *cli.Streams) error {
	phrase := ""
	if c.Passphrase {
		var err error
		if phrase, err = askPassphrase(streams.In, "Passphrase: ", "Once more: "); err != nil {
			return err
		}
	}
	key, err := keys.Export(c.Data, c.File, phrase)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(streams.Out, "%s has the key of the radio %s\n", c.File, keys.Text(key))
	return err
}

type keyImportCmd struct {
	File string `arg:"" name:"file" help:"What conga key export wrote."`
	Data string `default:"${data}" placeholder:"DIR" help:"The new server's --data folder (${default})."`
}

// Help shows examples.
func (keyImportCmd) Help() string {
	return `An encrypted file needs its passphrase; if this is no terminal, that is the first line of the input.

` + cli.Examples(
		"conga key import radio.key", "then conga serve",
		"conga key import radio.key --data second < passphrase", "in a script",
	)
}

// Run replaces no other key.
func (c *keyImportCmd) Run(_ context.Context, streams *cli.Streams) error {
	key, err := keys.Import(c.File, c.Data, func() (string, error) {
		return askPassphrase(streams.In, "Passphrase of "+c.File+": ")
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(streams.Out, "%s has the key of the radio %s\n", c.Data, keys.Text(key))
	return err
}

// maxPassphrase bounds what is read as one, in bytes.
const maxPassphrase = 4096

// askPassphrase asks on the terminal, without showing what is typed, each question for the same phrase. Elsewhere it reads a line.
func askPassphrase(in io.Reader, questions ...string) (string, error) {
	phrase := ""
	if file, is := in.(*os.File); is && console.IsTerminal(file) {
		for i, question := range questions {
			fmt.Fprint(os.Stderr, question)
			typed, err := term.ReadPassword(file.Fd())
			fmt.Fprintln(os.Stderr)
			switch {
			case err != nil:
				return "", fmt.Errorf("read the passphrase: %w", err)
			case i > 0 && string(typed) != phrase:
				return "", errors.New("that was another passphrase: nothing was written")
			}
			phrase = string(typed)
		}
	} else {
		line, err := bufio.NewReader(io.LimitReader(in, maxPassphrase)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the passphrase: %w", err)
		}
		phrase = strings.TrimRight(line, "\r\n")
	}
	if phrase == "" {
		return "", errors.New("the passphrase is empty")
	}
	return phrase, nil
}
