package pacer

import (
	"time"

	"conga/messages"
)

func (c Config) chainTakes() (takes time.Duration, last string) {
	if c.ChainTakes == nil {
		return 0, ""
	}
	return c.ChainTakes()
}

// tellSlack says that a song has another slack than the one before it, and if the chain needs more than the host wants.
func (p *pacer) tellSlack(takes time.Duration, last string) {
	state := p.keep.State()
	before, to, wish := messages.SlackOf(state.Song.SlackBefore), messages.SlackOf(state.Song.Slack), messages.SlackOf(state.Wish)
	switch {
	case before == to:
	case to > wish:
		p.cfg.Logger.Warn("music is sent earlier than --slack says: with less, those at the end of the chain would hear it when a node dies",
			"before it is heard", to, "slack", wish, "last", last, "gets it after", takes.Round(time.Millisecond))
	default:
		p.cfg.Logger.Info("music is sent earlier or later from this song on; nobody hears it", "before it is heard", to, "until now", before)
	}
}
