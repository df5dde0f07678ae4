package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/catalog/library"
	"conga/actors/internal/mp3"
	"conga/actors/internal/transcode"
	"conga/messages"
)

// tryAgain is how long to wait after converting was not possible, or after there was no room for a song that nobody has
// asked for.
const tryAgain = time.Minute

// needsFFmpeg is the reason why a file is left out that could be converted.
const needsFFmpeg = "it must be converted, and ffmpeg is not installed"

// making is a conversion under way. It runs outside the actor, one at a time.
type making struct {
	song   *library.Song
	wanted bool // somebody waits for it
	cancel context.CancelFunc
	done   chan struct{}
}

// made is the result of a conversion.
type made struct {
	by     *catalog
	making *making
	cmd    *messages.MadeSong // nil: see err
	err    error
}

// IgnoreDeadLetterLogging: a result that comes when the actor has stopped is not worth a line in the log.
func (made) IgnoreDeadLetterLogging() {}

// canConvert says whether songs of other kinds can be converted here.
func (c Config) canConvert() bool { return c.Converted != nil && c.Converted.CanMake() }

// makeNext converts the next song, if there is one. A song that somebody waits for interrupts one that nobody has asked
// for.
func (c *catalog) makeNext() {
	if !c.cfg.canConvert() {
		return
	}
	now := time.Now()
	song, wanted := c.keeper.State().ToMake(now.After(c.noRoom), func(name string) bool { return now.Before(c.passed[name]) })
	if song == nil || now.Before(c.trouble) {
		return
	}
	if m := c.making; m != nil {
		if wanted && !m.wanted && song.Name != m.song.Name {
			m.cancel()
		}
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	m := &making{song: song, wanted: wanted, cancel: cancel, done: make(chan struct{})}
	c.making, c.live.Converts = m, song.Name
	cfg, tell := c.cfg, c.tell
	go func() {
		defer close(m.done)
		defer cancel()
		cmd, err := cfg.convert(ctx, song, wanted)
		tell(made{c, m, cmd, err})
	}()
}

// convert makes an mp3 of the song. The error says that this is not possible now; if the file cannot be converted, cmd says so.
func (c Config) convert(ctx context.Context, song *library.Song, wanted bool) (cmd *messages.MadeSong, err error) {
	defer func() {
		if broken := recover(); broken != nil { // no file may stop the server
			cmd, err = &messages.MadeSong{Song: song.Message(), Reason: fmt.Sprintf("converting it went wrong: %v", broken), Passing: true}, nil
		}
	}()
	if !wanted && !c.Converted.Room() {
		return nil, transcode.ErrFull
	}
	out := &messages.MadeSong{Song: song.Message()}
	path := c.Elsewhere.path(c.Dir, song.Name)
	if f, err := openRegular(path); err != nil {
		return nil, fmt.Errorf("%w: %s", transcode.ErrSource, cause(err))
	} else if err := f.Close(); err != nil {
		return nil, fmt.Errorf("%w: %s", transcode.ErrSource, cause(err))
	}
	is, err := c.Converted.Make(ctx, path, song.Title, song.Artist, wanted)
	switch {
	case ctx.Err() != nil, errors.Is(err, transcode.ErrFull), errors.Is(err, transcode.ErrSource), errors.Is(err, transcode.ErrTrouble):
		return nil, err
	case err != nil:
		out.Reason = err.Error()
		_, out.Passing = errors.AsType[transcode.Passing](err)
		return out, nil
	}
	f, err := c.Converted.Open(is)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transcode.ErrTrouble, err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	music, err := mp3.ReadInfo(f)
	if err != nil {
		out.Reason = "ffmpeg has made no music of it"
		return out, nil
	}
	s := out.Song
	s.Form, s.MadeOf, s.MadeSum = messages.Song_FORM_CONVERTED, is.Of, is.Sum
	s.DurationUs, s.SampleRate, s.Frames, s.AudioBytes = music.Duration.Microseconds(), int32(music.SampleRate), music.Frames, music.AudioBytes
	return out, nil
}

// hasMade takes the result of a conversion, and begins the next.
func (c *catalog) hasMade(msg made) {
	c.making, c.live.Converts = nil, ""
	switch err := msg.err; {
	case msg.cmd != nil:
		c.commit(msg.cmd)
		c.live.Converted++
		if msg.making.wanted {
			c.lookIn(0) // others may have been removed for it
		}
	case errors.Is(err, transcode.ErrFull) && !msg.making.wanted:
		c.noRoom = time.Now().Add(tryAgain)
	case errors.Is(err, context.Canceled):
	case errors.Is(err, transcode.ErrSource): // others go on
		c.passed[msg.making.song.Name] = time.Now().Add(tryAgain)
	default:
		c.trouble = time.Now().Add(tryAgain)
		if said := err.Error(); c.live.Trouble != said {
			c.live.Trouble = said
			c.cfg.Logger.Warn("songs cannot be converted for now; others play", "file", msg.making.song.Name, "reason", err)
		}
	}
	if msg.err == nil {
		c.live.Trouble = ""
		delete(c.passed, msg.making.song.Name)
	}
	c.makeNext()
}

// stopMaking ends the conversion under way, and its ffmpeg.
func (c *catalog) stopMaking() {
	if c.making != nil {
		c.making.cancel()
		<-c.making.done
	}
}

// lostSongs names the converted songs whose mp3 is not there any more.
func (c Config) lostSongs(state library.State) proto.Message {
	if c.Converted == nil {
		return nil
	}
	has, err := c.Converted.Has()
	if err != nil {
		return nil // its disk may come back
	}
	lost := &messages.LostSongs{}
	for song := range state.Songs.All() {
		if song.Form == messages.Song_FORM_CONVERTED && !has[transcode.Made{Of: song.MadeOf, Sum: song.MadeSum}] && !c.Elsewhere.keeps(song) {
			lost.Names = append(lost.Names, song.Name)
		}
	}
	if len(lost.GetNames()) == 0 {
		return nil
	}
	return lost
}
