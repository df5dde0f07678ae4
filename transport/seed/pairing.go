package seed

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"conga/messages"
)

// apart waits for the client of the host that listens on the port and that the server feeds on its own
// port: the chain is just being told of it.
func (p *Porter) apart(ctx context.Context, host string, port uint16) *guest {
	deadline := time.NewTimer(pairPatience)
	defer deadline.Stop()
	defer func() {
		p.mu.Lock()
		p.wake(host) // so that nothing is kept for a host that has gone
		p.mu.Unlock()
	}()
	for {
		p.mu.Lock()
		changed := p.change(host)
		for _, g := range p.guests {
			if g.apart && g.port == port && g.host == host && g.hears == 0 {
				p.mu.Unlock()
				return g
			}
		}
		p.mu.Unlock()
		select {
		case <-changed:
		case <-deadline.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// tellApart waits until it is clear what the caller is. It returns the client in the chain whose
// stream connection it is, or the visitor that belongs to it, or neither if it is no client.
func (p *Porter) tellApart(ctx context.Context, c *caller) (*guest, *visitor) {
	defer func() {
		p.mu.Lock()
		p.callers = slices.DeleteFunc(p.callers, func(other *caller) bool { return other == c })
		p.wake(c.host)
		p.mu.Unlock()
	}()
	// Others that came at the same moment may not be here yet.
	others, lonely, deadline := time.NewTimer(gathering), time.NewTimer(lonelyAfter), time.NewTimer(pairPatience)
	defer others.Stop()
	defer lonely.Stop()
	defer deadline.Stop()
	said, stop := speaks(c.Stranger)
	defer stop()
	select {
	case <-others.C:
	case <-said:
		return nil, nil
	case <-ctx.Done():
		return nil, nil
	}
	for {
		p.mu.Lock()
		g, v, changed := p.match(c)
		p.mu.Unlock()
		if g != nil || v != nil {
			return g, v
		}
		select {
		case <-changed:
		case <-lonely.C:
			if g := p.stray(c.host); g != nil {
				return g, nil
			}
		case <-said:
			return nil, nil
		case <-deadline.C:
			return nil, nil
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// match returns what the caller is, as far as is known now. A client that joins opens its request
// connection right after its stream connection, so a visitor belongs to the last caller before it.
// Otherwise the caller may be a client that is due. While a visitor that may belong to the caller is not
// ripe, match returns neither, and Request calls wake later. p.mu is held.
func (p *Porter) match(c *caller) (*guest, *visitor, <-chan struct{}) {
	slack := blur
	if p.alone(c.host) {
		slack = blurAlone
	}
	for i, v := range p.waiting {
		behind := v.Since.Add(slack)
		if v.host == c.host && behind.After(c.Since) && v.Since.Sub(c.Since) <= pairPatience &&
			!slices.ContainsFunc(p.callers, func(other *caller) bool {
				return other.host == c.host && other.Since.After(c.Since) && !other.Since.After(behind)
			}) {
			if time.Since(v.Since) < ripe {
				return nil, nil, p.change(c.host)
			}
			return nil, p.pair(i), nil
		}
	}
	for _, g := range p.guests {
		if g.host == c.host && !c.Since.Before(g.dueFrom) && c.Since.Before(g.dueUntil) {
			g.dueUntil = time.Time{}
			return g, nil, nil
		}
	}
	return nil, nil, p.change(c.host)
}

// alone reports whether the host has at most one caller and one visitor here. p.mu is held.
func (p *Porter) alone(host string) bool {
	callers, visitors := 0, 0
	for _, c := range p.callers {
		if c.host == host {
			callers++
		}
	}
	for _, v := range p.waiting {
		if v.host == host {
			visitors++
		}
	}
	return callers <= 1 && visitors <= 1
}

// pair makes the visitor with this index a client that joins. p.mu is held.
func (p *Porter) pair(i int) *visitor {
	v := p.waiting[i]
	p.waiting = slices.Delete(slices.Clone(p.waiting), i, i+1)
	v.guest = &guest{host: v.host, visitor: v}
	if v.Admit() {
		_ = v.SetReadDeadline(time.Time{})
	}
	p.wake(v.host)
	return v
}

// stray returns a guest for a client of the host that is not due: the node that fed it has sent it here,
// or it had its place before the server was restarted. A host has no more strays than clients that the
// server does not feed yet; otherwise stray returns nil. The caller counts it down in p.strays when it has
// gone.
func (p *Porter) stray(host string) *guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	room := p.before[host] - p.strays[host]
	for _, g := range p.guests {
		if g.host == host && g.hears == 0 {
			room++
		}
	}
	if room <= 0 {
		return nil
	}
	p.strays[host]++
	return &guest{host: host, stray: true, node: &messages.Node{Id: uuid.NewString(), Name: "seed-" + host}}
}
