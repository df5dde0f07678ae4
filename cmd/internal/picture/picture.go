package picture

import (
	"encoding/json"
	"fmt"
	"strings"

	"conga/actors"
	"conga/actors/catalog/library"
	"conga/actors/pacer/place"
	"conga/messages"
	"conga/messages/plain"
	"conga/transport/web"
)

const (
	// maxQueue and maxChain are how much of the queue and of the chain is shown.
	maxQueue = 60
	maxChain = 300
	// idLetters is how many letters of a listener's id the page needs to tell it from others.
	idLetters = 13
)

// Song is a song as the page shows it.
type Song struct {
	Name       string `json:"name"` // of its file
	Title      string `json:"title"`
	Artist     string `json:"artist,omitempty"`
	DurationUs int64  `json:"durationUs,omitempty"`
	Waits      bool   `json:"waits,omitempty"`  // it is in the queue
	Number     int    `json:"number,omitempty"` // by which PLAY knows it; only of songs that were searched for
}

// Now is what plays.
type Now struct {
	Event    uint64 `json:"event"` // the newest
	NowUs    int64  `json:"nowUs"` // time of this answer by the server's clock
	Song     *Song  `json:"song"`  // nil: nothing
	Number   uint64 `json:"number,omitempty"`
	PlayAtUs int64  `json:"playAtUs,omitempty"`
	GainMb   int32  `json:"gainMb,omitempty"` // how much louder it is to be played, in hundredths of a decibel
	By       string `json:"by,omitempty"`     // who asked for it
	Away     string `json:"away,omitempty"`   // why no song can be played
	Songs    int    `json:"songs"`
	SlackMs  int64  `json:"slackMs,omitempty"` // how long before it is heard music is sent; 0: the usual time
	// Votes is how many people voted to skip the song, and Needed how many must; 0: nobody can vote.
	Votes  int `json:"votes,omitempty"`
	Needed int `json:"needed,omitempty"`
}

// Queued is a song that waits.
type Queued struct {
	Song
	By   string `json:"by,omitempty"`
	AtUs int64  `json:"atUs,omitempty"` // when it plays, if no other request comes first; 0: not known
	Why  string `json:"why,omitempty"`  // others are played before it
}

// Queue is what comes next.
type Queue struct {
	Songs []Queued `json:"songs"`
	More  int      `json:"more,omitempty"`
}

// Node is a listener in the chain.
type Node struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	From   string `json:"from"` // id of the node that feeds it, or "server"; "": it is not fed
	Leaf   bool   `json:"leaf,omitempty"`
	Seed   bool   `json:"seed,omitempty"` // a client of 2016
	Absent bool   `json:"absent,omitempty"`
	Silent bool   `json:"silent,omitempty"`
	Liar   bool   `json:"liar,omitempty"`
}

// Chain is who feeds whom, nearest the server first; where it branches, each branch stands below what it hangs on.
type Chain struct {
	Nodes []Node `json:"nodes"`
	More  int    `json:"more,omitempty"`
	Hops  int    `json:"hops,omitempty"` // how deep it is, if it branches
}

// Lead says which of a radio's servers leads.
type Lead struct {
	Server  string   `json:"server"`            // host:port
	SinceUs int64    `json:"sinceUs,omitempty"` // 0: not known
	Servers []string `json:"servers"`           // all of them
}

// Of is the state as everybody may see it, in the parts now, queue, chain and vitals. vitals says how a listener is doing;
// it is nil for the past, of which that is not known.
func Of(s actors.ServerState, event uint64, nowUs int64, vitals func(id string) (web.Vitals, bool)) (web.Parts, error) {
	parts := map[string]any{"now": now(s, event, nowUs), "queue": queue(s), "chain": chainOf(s)}
	if vitals != nil {
		parts["vitals"] = vitalsOf(s, vitals)
	}
	return encoded(parts)
}

func encoded(parts map[string]any) (web.Parts, error) {
	all := web.Parts{}
	for name, part := range parts {
		body, err := Encode(part)
		if err != nil {
			return nil, err
		}
		all[name] = body
	}
	return all, nil
}

func now(s actors.ServerState, event uint64, nowUs int64) Now {
	n := Now{Event: event, NowUs: nowUs, Songs: s.Catalog.Songs.Len(), Away: plain.Text(s.Catalog.Away, 300)}
	on := s.Pacer.Song
	// A song is given out before it is heard. Until then the one before it plays.
	if last := len(s.Pacer.Recent) - 1; last >= 0 && (on == nil || on.PlayAt > nowUs) && endOf(s.Pacer.Recent[last]) > nowUs {
		on = &s.Pacer.Recent[last]
	}
	if on == nil || endOf(*on) < nowUs && on != s.Pacer.Song {
		return n
	}
	n.Song = songOf(s, on.Name, on)
	n.Number, n.PlayAtUs, n.GainMb, n.SlackMs = on.Number, on.PlayAt, on.GainMb, on.Slack/1000
	if air := s.Scheduler.On; air != nil && air.Number == on.Number && !air.Skipped {
		n.Votes, n.Needed = len(air.Votes), s.Scheduler.Rules.SkipVotes
	}
	if p := s.Scheduler.Playing; p != nil && p.Song == on.Name {
		n.By = plain.Text(p.Listener, messages.MaxName)
	}
	return n
}

func endOf(song place.Started) int64 { return song.PlayAt + song.DurationUs }

// songOf is the song as the catalog knows it, else as the pacer remembers it, else its name alone.
func songOf(s actors.ServerState, name string, on *place.Started) *Song {
	if on != nil {
		return made(name, on.Title, on.Artist, on.DurationUs)
	}
	if song, is := s.Catalog.Songs.Find(name); is {
		return madeOf(song)
	}
	return made(name, "", "", 0)
}

func madeOf(song *library.Song) *Song {
	return made(song.Name, song.Title, song.Artist, song.DurationMs*1000)
}

func made(name, title, artist string, durationUs int64) *Song {
	song := &Song{Name: name, Title: plain.Text(title, 300), Artist: plain.Text(artist, 300), DurationUs: durationUs}
	if song.Title == "" {
		song.Title = Title(name)
	}
	return song
}

// Title is a song's name without folders and extension.
func Title(name string) string {
	if cut := len(name) - len(messages.SongEnding(name)); cut > 0 {
		name = name[:cut]
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	return plain.Text(name, 300)
}

func queue(s actors.ServerState) Queue {
	q := Queue{Songs: []Queued{}, More: max(0, len(s.Scheduler.Queue)-maxQueue)}
	at := s.Pacer.NextPlayAt
	if on := s.Pacer.Song; on != nil {
		at = endOf(*on)
	}
	for _, r := range s.Scheduler.Queue[:len(s.Scheduler.Queue)-q.More] {
		item := Queued{Song: *songOf(s, r.Song, nil), By: plain.Text(r.Listener, messages.MaxName), Why: plain.Text(s.Scheduler.Wait(r), 300)}
		if item.Why == "" && at != 0 {
			item.AtUs = at
			if at += item.DurationUs; item.DurationUs == 0 {
				at = 0 // the times of those after it are not known either
			}
		}
		q.Songs = append(q.Songs, item)
	}
	return q
}

func shortID(id string) string { return id[:min(len(id), idLetters)] }

func chainOf(s actors.ServerState) Chain {
	line := s.ChainManager.Chain
	c := Chain{Nodes: []Node{}, More: max(0, line.Len()-maxChain)}
	if line.Branches() {
		c.Hops = line.Depth()
	}
	for m := range line.Tree() {
		if len(c.Nodes) == maxChain {
			break
		}
		c.Nodes = append(c.Nodes, Node{
			ID: shortID(m.ID), Name: plain.Text(m.Name, messages.MaxName), From: shortID(line.Source(m.ID)),
			Leaf: m.Leaf, Seed: m.Seed, Absent: m.Absent, Silent: m.Silent, Liar: m.Liar,
		})
	}
	return c
}

// vitalsOf returns listeners' figures by their ids: how many tenths of a second of music it has ahead, how many tenths of a
// millisecond late it plays, for how many players it plays, for how many it can, and how wrong the second is, in the same tenths.
func vitalsOf(s actors.ServerState, vitals func(id string) (web.Vitals, bool)) map[string][5]int64 {
	all := map[string][5]int64{}
	for m := range s.ChainManager.Chain.All() {
		if len(all) == maxChain {
			break
		}
		if v, is := vitals(m.ID); is {
			ahead := min(max(v.AheadUs/100_000, -100), 1000)
			late := min(max(v.LateUs/100, -999_999), 999_999)
			unsure := min(max((v.LateErrorUs+99)/100, 0), 999_999)
			all[shortID(m.ID)] = [5]int64{ahead, late, int64(v.Players), int64(v.Most), unsure}
		}
	}
	return all
}

// Encode turns a part into JSON.
func Encode(part any) (json.RawMessage, error) {
	body, err := json.Marshal(part)
	if err != nil {
		return nil, fmt.Errorf("encode a part of the page: %w", err)
	}
	return body, nil
}
