package logbook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/actors/eventlog/sqlite"
	"conga/cmd/internal/cli"
)

// Command is conga log; each of its commands lives in its own file.
type Command struct {
	Tail    logTailCmd    `cmd:"" help:"Print events as they happen."`
	Show    logShowCmd    `cmd:"" help:"Print events, one a line."`
	Export  logExportCmd  `cmd:"" help:"Write events into a file of JSON lines."`
	Import  logImportCmd  `cmd:"" help:"Make a log from exported files."`
	Verify  logVerifyCmd  `cmd:"" help:"Check every event, and the files that hold them."`
	Replay  logReplayCmd  `cmd:"" help:"Print the state that the events lead to, as JSON."`
	Diff    logDiffCmd    `cmd:"" help:"Print what is different between two moments."`
	Render  logRenderCmd  `cmd:"" help:"Make the music of a time again, as it was sent, into an mp3 file."`
	Report  logReportCmd  `cmd:"" help:"List what was played, how often and how long."`
	Archive logArchiveCmd `cmd:"" help:"Move old events into a file beside the log."`
}

// Help shows examples.
func (Command) Help() string {
	return `The commands read the log in --data, even while its server runs, or an exported file.
A MOMENT is an event number or a time: 2026-11-22T10:11:12Z, 10:11:12 (the last time it was that late) or 10m (ago). Times are in this
machine's zone, if they do not name another; those in exported files are in UTC.

` + cli.Examples(
		"conga log tail", "follow the decisions of this machine's server",
		"conga log show --from 1h --actor chainmanager", "who came and went in the last hour",
		"conga log replay --at 10:11", "the queue and the chain as they were then",
		"conga log show --data ~/.local/share/conga/listeners/amy", "a listener's own log",
	)
}

// logData names the folder of a log, or the servers that keep it.
type logData struct {
	Data string `default:"${data}" placeholder:"DIR" help:"Folder of the log: the --data of conga serve or conga join (${default})."`
	Shared
}

func (d logData) home() home { return home{d.Data, d.Shared} }

// logSource names a log: a folder, or an exported file.
type logSource struct {
	logData
	File string `arg:"" optional:"" name:"file.jsonl" help:"An exported log, instead of --data."`
}

// open opens the log for reading. The caller closes it.
func (s logSource) open(ctx context.Context) (*eventlog.Log, error) {
	if s.File == "" {
		return s.home().log(ctx)
	}
	if isFolder(s.File) {
		return nil, fmt.Errorf("%s is a folder: name it with --data", s.File)
	}
	return openFile(s.File)
}

// OpenFolder opens the log in dir for reading, also while its server runs.
func OpenFolder(dir string) (*eventlog.Log, error) { return home{dir: dir}.log(context.Background()) }

// log opens the log for reading, also while its server runs.
func (h home) log(ctx context.Context) (*eventlog.Log, error) {
	if file, err := os.Stat(h.dir); err == nil && !file.IsDir() && !h.Is() {
		return nil, fmt.Errorf("%s is a file: name it without --data", h.dir)
	}
	store, err := h.reader(ctx)
	if err != nil {
		return nil, h.salvage(err)
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		return nil, h.salvage(errors.Join(err, store.Close()))
	}
	return log, nil
}

// Salvage adds to the error of a damaged log what to do about it.
func Salvage(dir string, err error) error { return home{dir: dir}.salvage(err) }

func (h home) salvage(err error) error {
	if !errors.Is(err, eventlog.ErrDamaged) || strings.Contains(err.Error(), "conga log export") {
		return err
	}
	restore, anew := "restore "+filepath.Join(h.dir, "conga.db")+" from a copy, or ", "--data NEW"
	if h.Is() {
		restore, anew = "", "--log URL --radio NEW"
	}
	return fmt.Errorf("%w; %ssave what is sound: conga log export sound.jsonl %s, then conga log import sound.jsonl --sound %s",
		err, restore, h.flags(), anew)
}

// maxInMemory is the longest exported file that is read into memory, in bytes.
const maxInMemory = 8 << 20

// openFile reads an exported log and checks it.
func openFile(file string) (*eventlog.Log, error) {
	store, err := storeFor(file)
	if err != nil {
		return nil, err
	}
	if _, err := export.Import(store, readLines(file)); err != nil {
		return nil, errors.Join(badFile(file, err), store.Close())
	}
	return eventlog.Open(store, time.Now)
}

// badFile says what is wrong with an exported file, and what to do about it.
func badFile(file string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s: name one that conga log export wrote, or a log's folder with --data", file)
	case isFolder(file):
		return fmt.Errorf("%s is a folder: name the file in it, or a log's folder with --data", file)
	case errors.Is(err, eventlog.ErrDamaged):
		return fmt.Errorf("%s: %w: export it again, or use a copy", file, err)
	}
	return fmt.Errorf("%s: %w", file, err)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// plural is "1 event", "2 events".
func plural[N int | uint64](n N, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// storeFor returns a store with room for the file: in memory, or for a long file in a temporary folder.
func storeFor(file string) (eventlog.Store, error) {
	if info, err := os.Stat(file); err != nil || info.Mode().IsRegular() && info.Size() <= maxInMemory {
		return eventlog.NewMemory(), nil
	}
	dir, err := os.MkdirTemp("", "conga-log-*")
	if err != nil {
		return nil, err
	}
	store, err := sqlite.Open(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &passing{store, dir}, nil
}

// passing is a store in a temporary folder, which goes when it is closed.
type passing struct {
	eventlog.Store
	dir string
}

// Close removes the folder.
func (p *passing) Close() error { return errors.Join(p.Store.Close(), os.RemoveAll(p.dir)) }

// someEvents is an error if the log has none.
func someEvents(log *eventlog.Log, where string) error {
	if log.Last() == 0 {
		return fmt.Errorf("the log in %s has no events yet", where)
	}
	return nil
}

// name says which log it is.
func (s logSource) name() string {
	if s.File != "" {
		return s.File
	}
	return s.home().String()
}

// with opens the log and runs do on it; a log without events is an error.
func (s logSource) with(ctx context.Context, do func(*eventlog.Log) error) error {
	log, err := s.open(ctx)
	if err != nil {
		return err
	}
	err = someEvents(log, s.name())
	if err == nil {
		err = do(log)
	}
	if s.File == "" {
		err = s.home().salvage(err)
	}
	return errors.Join(err, log.Close())
}
