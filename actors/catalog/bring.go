package catalog

import (
	"time"

	"conga/messages"
)

// bring takes a song whose file has come into the folder, so that nobody waits for a look.
func (c *catalog) bring(cmd *messages.BringSong) {
	c.commit(cmd)
	song := cmd.GetSong()
	if c.brought == nil {
		c.brought = map[string]file{}
	}
	c.brought[song.GetName()] = file{size: song.GetFileBytes(), modified: song.GetModifiedUnixUs(), since: time.Now(), verdict: told}
	if !c.looking {
		c.sawBrought()
	}
	c.makeNext()
}

// sawBrought counts the brought files as seen, so that the next look notices if one is removed. Files that a look has missed
// because the name was another file's before are looked at anew. It must not be called during a look, which reads
// the map of what was seen.
func (c *catalog) sawBrought() {
	if c.seen == nil {
		c.seen = map[string]file{}
	}
	for name, f := range c.brought {
		_, seen := c.seen[name]
		if _, known := c.keeper.State().Songs.Find(name); known && !seen {
			c.seen[name] = f
		}
	}
	c.brought = nil
}
