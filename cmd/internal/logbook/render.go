package logbook

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/pacer/place"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/songstore"
	"conga/messages/plain"
)

type logRenderCmd struct {
	logData
	airtimeFlags
	File        string `arg:"" name:"out.mp3" help:"File to write; - is the standard output."`
	Songs       string `default:"songs" placeholder:"DIR" help:"Folder of the music that was played: the --songs of conga serve (${default})."`
	Converted   string `placeholder:"DIR" help:"Folder of the mp3 files that were made of other music: the --converted of conga serve; by default in the --data folder, converted."`
	SkipMissing bool   `setting:"-" help:"Leave out songs whose file is gone or has changed, and say which; else nothing is written then."`
	Force       bool   `setting:"-" help:"Replace the file if it exists."`
}

// Help shows examples.
func (logRenderCmd) Help() string {
	return `The file has, byte for byte, the music that listeners were sent: which song was on from when to when is in the log, and the
songs are cut from their files as then. The log also has a hash of what was sent of each song, so that another file of the
same name is noticed; one with the same content counts, whatever it is called, and what a server has fetched. Times are those at which the music was heard. Where the server was down, nothing was sent and
nothing is written; songs of different sample rates follow each other as they did.

` + cli.Examples(
		"conga log render --from 21:14 --to 23:00 evening.mp3", "last night again",
		"conga log render --from 1h - | ffplay -", "hear the last hour",
		"conga log render --from 120 out.mp3", "from the song that began with event 120",
	)
}

// Run writes the file, whole or not at all.
func (c *logRenderCmd) Run(ctx context.Context, streams *cli.Streams) error {
	log, err := c.home().log(ctx)
	if err != nil {
		return err
	}
	err = someEvents(log, c.home().String())
	if err == nil {
		err = c.render(ctx, streams, log)
	}
	return errors.Join(c.home().salvage(err), log.Close())
}

func (c *logRenderCmd) render(ctx context.Context, streams *cli.Streams, log *eventlog.Log) error {
	air, err := c.in(log, time.Now())
	if err != nil {
		return err
	}
	songs, err := air.songs(log)
	if err != nil {
		return err
	}
	if c.Songs == "nats" { // as conga serve has it
		c.Songs = filepath.Join(c.Data, "songs")
	}
	r := &rendering{
		airtime: air, open: actors.SongsIn(c.Songs, cmp.Or(c.Converted, filepath.Join(c.Data, "converted")), nil), find: songstore.NewFinder(c.Songs, c.Data),
		sum: sha256.New(), notes: streams.Err,
	}
	if songs, err = r.check(ctx, songs, c.SkipMissing); err != nil {
		return err
	}
	if c.File == "-" {
		out := bufio.NewWriter(streams.Out)
		if err := cmp.Or(r.write(ctx, out, songs), notWritten(out.Flush())); err != nil {
			return fmt.Errorf("the standard output does not have all: %w", err)
		}
		return nil
	}
	err = wholeFile(c.File, c.Force, func(f io.Writer) error { return r.write(ctx, f, songs) })
	if err == nil {
		fmt.Fprintf(streams.Out, "%s has %v of music from %s, heard from %s to %s: %d bytes, SHA-256 %x\n", c.File, r.lasts.Round(time.Millisecond),
			plural(len(songs), "song"), air.at(songs[0], air.heard(songs[0])[0].First), r.until, r.bytes, r.sum.Sum(nil))
	}
	return err
}

// rendering makes music of the past again.
type rendering struct {
	airtime
	open  pacer.Opener // by name
	find  *songstore.Finder
	notes io.Writer

	// what was written
	sum   hash.Hash
	bytes int64
	lasts time.Duration
	until string
}

// same names what a song's file must give: a song that was on twice is checked once.
type same struct {
	name, madeSum, sum            string
	bytes, modifiedUs, frames, on int64
}

func sameOf(s pacer.Aired) same {
	on := int64(0)
	if s.Sum == "" {
		on = int64(s.Number)
	}
	return same{s.Name, s.MadeSum, s.Sum, s.FileBytes, s.ModifiedUs, s.Played, on}
}

// opener opens the file that the song was, or else one with its content: this server may have stood by, and have it under another
// name, or fetched.
func (r *rendering) opener(ctx context.Context, song pacer.Aired) pacer.Opener {
	return func(name, madeOf, madeSum string) (pacer.File, error) {
		file, err := r.open(name, madeOf, madeSum)
		if err == nil && (madeOf != "" || file.Bytes == song.FileBytes && file.ModifiedUs == song.ModifiedUs) {
			return file, nil
		}
		var found io.ReadCloser
		missing := fs.ErrNotExist
		switch {
		case madeOf != "":
			found, missing = r.find.Fetched(madeSum)
		case song.FileSum != "":
			found, missing = r.find.Open(ctx, song.FileSum, song.FileBytes)
		}
		if missing != nil {
			return file, err
		}
		if err == nil {
			_ = file.Close() // it was only read
		}
		return pacer.File{ReadCloser: found, Bytes: song.FileBytes, ModifiedUs: song.ModifiedUs}, nil
	}
}

// check reads all songs before anything is written, and returns those that can be made again. If others cannot, it fails,
// or, with skip, says which are left out.
func (r *rendering) check(ctx context.Context, songs []pacer.Aired, skip bool) (sound []pacer.Aired, err error) {
	known := map[same]error{}
	var missing []string
	for _, song := range songs {
		reason, is := known[sameOf(song)]
		if !is {
			reason = r.sound(ctx, song)
			known[sameOf(song)] = reason
		}
		if ctx.Err() != nil {
			return nil, errStopped
		}
		if reason == nil {
			sound = append(sound, song)
			continue
		}
		heard := r.heard(song)
		missing = append(missing, fmt.Sprintf("%s, heard from %s to %s (%s)", plain.Text(song.Name, 512), r.at(song, heard[0].First), r.at(song, heard[len(heard)-1].End), reason))
	}
	switch {
	case len(missing) == 0:
	case !skip:
		more := ""
		if n := len(missing) - mostNamed; n > 0 {
			missing, more = missing[:mostNamed], fmt.Sprintf(" and %d more", n)
		}
		return nil, fmt.Errorf("nothing was written, because not all can be made again: %s%s: put the files back into --songs as they were, or leave them out with --skip-missing", strings.Join(missing, "; "), more)
	case len(sound) == 0:
		return nil, fmt.Errorf("none of it can be made again: is %s in --songs? %s", plain.Text(songs[0].Name, 512), missing[0])
	}
	for _, song := range missing {
		fmt.Fprintln(r.notes, "left out:", song)
	}
	r.tellGaps(sound)
	return sound, nil
}

// mostNamed is how many missing songs one error names.
const mostNamed = 5

// sound says why the song cannot be made again; nil: it can.
func (r *rendering) sound(ctx context.Context, song pacer.Aired) error {
	for _, err := range pacer.Again(song.Started, r.opener(ctx, song)) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return inWords(err, song.Started)
		}
	}
	return nil
}

// inWords is why a song cannot be made again, without the song's name.
func inWords(err error, song place.Started) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("its file is gone")
	case errors.Is(err, pacer.ErrOther) && song.Sum == "":
		return errors.New("its file has another size or time than when it was played")
	case errors.Is(err, pacer.ErrOther):
		return errors.New("its file has other music than when it was played")
	}
	return err
}

// tellGaps says where nothing was sent, and where nobody knows it.
func (r *rendering) tellGaps(songs []pacer.Aired) {
	for _, song := range songs {
		for _, missed := range song.Missed {
			if from, to := song.Until(missed.First), song.Until(missed.End); to > r.from.UnixMicro() && from < r.to.UnixMicro() {
				fmt.Fprintf(r.notes, "not sent, because the server was down: from %s to %s\n", r.at(song, missed.First), r.at(song, missed.End))
			}
		}
		for _, part := range unsure(song, r.heard(song)) {
			fmt.Fprintf(r.notes, "the server broke down between %s and %s: the file has all that it would have sent\n", r.at(song, part.First), r.at(song, part.End))
		}
	}
}

// write writes the music. The files are checked once more, because they may change meanwhile.
func (r *rendering) write(ctx context.Context, to io.Writer, songs []pacer.Aired) error {
	out := io.MultiWriter(to, r.sum)
	for _, song := range songs {
		parts := r.heard(song)
		for item, err := range pacer.Again(song.Started, r.opener(ctx, song)) {
			if ctx.Err() != nil {
				return unwritten{errStopped}
			}
			if err != nil {
				return fmt.Errorf("%s: %w", plain.Text(song.Name, 512), inWords(err, song.Started))
			}
			if item.Change != nil || !within(parts, item.FirstFrame) {
				continue
			}
			n, err := out.Write(item.Frames)
			if r.bytes += int64(n); err != nil {
				return notWritten(err)
			}
		}
		r.lasts += lasts(song, parts...)
		r.until = r.at(song, parts[len(parts)-1].End)
	}
	return nil
}

func within(parts []pacer.Frames, frame int64) bool {
	for _, part := range parts {
		if part.First <= frame && frame < part.End {
			return true
		}
	}
	return false
}

// wholeFile writes a file that others see only when it is whole. With force it takes the place of another.
func wholeFile(path string, force bool, fill func(io.Writer) error) error {
	info, err := os.Lstat(path)
	if err == nil && (!force || !info.Mode().IsRegular()) {
		if info.Mode().IsRegular() {
			return fmt.Errorf("%w, or replace it with --force", existsAlready(path))
		}
		return existsAlready(path)
	}
	part := fmt.Sprintf("%s.%d.part", path, os.Getpid())
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s: make it first, or name another file", filepath.Dir(path))
	case err != nil:
		return fmt.Errorf("%w: name a file in a folder that you may write to", err)
	}
	out := bufio.NewWriterSize(f, 1<<20)
	err = cmp.Or(fill(out), notWritten(cmp.Or(out.Flush(), f.Sync())))
	if err = cmp.Or(err, notWritten(f.Close())); err != nil {
		remedy := ""
		if reason := (unwritten{}); errors.As(err, &reason) {
			remedy = reason.remedy()
		}
		return errors.Join(fmt.Errorf("%s was not written: %w%s", path, err, remedy), os.Remove(part))
	}
	if force {
		return os.Rename(part, path)
	}
	return publish(part, path)
}
