package live

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"conga/actors"
	"conga/cmd/internal/screen"
)

const (
	// whoEvery is how often the server is asked for the whole chain, and whoAtOnce how soon again if the listener's own
	// part of it has changed. A thousand screens that ask make some 2 Mbit/s.
	whoEvery, whoAtOnce = 15 * time.Second, 2 * time.Second
)

// crowd is the whole chain as the server lists it. A listener itself knows only its neighbours.
type crowd struct {
	client *actors.Client
	known  string // the listener's own part of the chain when the server was asked last
	asked  time.Time

	mu     sync.Mutex
	asking bool
	all    []string
	more   string // a sentence about listeners that are not named
}

// names returns the server's last answer. The server is asked again if that is old, or if the listener's own part of the
// chain has changed.
func (c *crowd) names(ctx context.Context, known []screen.Member, now time.Time) (all []string, more string) {
	var told strings.Builder
	for _, m := range known {
		fmt.Fprintln(&told, m.Role, m.Name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if past := now.Sub(c.asked); !c.asking && (past >= whoEvery || past >= whoAtOnce && told.String() != c.known) {
		c.asking, c.asked, c.known = true, now, told.String()
		go c.ask(ctx)
	}
	return c.all, c.more
}

func (c *crowd) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, whoEvery)
	defer cancel()
	answer, err := c.client.AskUnlogged(ctx, "WHO 1") // one page: no screen has room for more
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asking = false; err == nil {
		c.all, c.more = listeners(answer)
	}
}

// listeners reads the answer to WHO: numbered names, each with how long it has been there.
func listeners(answer []string) (all []string, more string) {
	for _, line := range answer {
		number, name, is := strings.Cut(line, ". ")
		if _, err := strconv.Atoi(number); err != nil || !is {
			more = strings.TrimSpace(strings.TrimPrefix(line, "... "))
			more, _, _ = strings.Cut(more, ":")
			continue
		}
		if at := strings.LastIndex(name, " (for "); at > 0 {
			name = name[:at]
		}
		all = append(all, name)
	}
	return all, more
}

// placed puts what a listener knows of its neighbours into the whole chain. A name may be there twice: the listener is the
// one with the most fitting neighbours. If it is not there at all, placed returns only what the listener knows, and whole is
// false.
func placed(names []string, more string, known []screen.Member) (chain []screen.Member, whole bool) {
	self := slices.IndexFunc(known, func(m screen.Member) bool { return m.Role == screen.Self })
	at, best := -1, -1
	for i, name := range names {
		if self < 0 || name != known[self].Name {
			continue
		}
		fits := 0
		for j, m := range known {
			if k := i + j - self; k >= 0 && k < len(names) && names[k] == m.Name {
				fits++
			}
		}
		if fits > best {
			at, best = i, fits
		}
	}
	if at < 0 {
		return known, false
	}
	for _, name := range names {
		chain = append(chain, screen.Member{Name: name})
	}
	for j, m := range known { // each once, at the nearest place with its name
		if m.Role == screen.Gap {
			continue
		}
		nearest := -1
		for i := range chain {
			if chain[i].Name == m.Name && chain[i].Role == screen.Other && (nearest < 0 || distance(i, at+j-self) < distance(nearest, at+j-self)) {
				nearest = i
			}
		}
		if nearest >= 0 && m.Role != screen.Other {
			chain[nearest] = m
		}
	}
	if more != "" {
		chain = append(chain, screen.Member{Name: "… " + more, Role: screen.Gap})
	}
	return chain, true
}

func distance(a, b int) int { return max(a-b, b-a) }
