package seed

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"conga/transport"
)

const (
	// settle is how long the next piece of a request may take: nothing marks a request's end.
	settle = 20 * time.Millisecond
	// requestsPerSecond and requestsAtOnce bound how many requests of one client are answered.
	requestsPerSecond, requestsAtOnce = 5, 50
)

// Request handles the request connections of clients of 2016, which it recognizes by their first
// request, and returns true at their end. It returns false for all others, which speak lines.
func (p *Porter) Request(ctx context.Context, conn *transport.Stranger) bool {
	v := &visitor{Stranger: conn, host: hostOf(conn.RemoteAddr())}
	p.mu.Lock()
	p.waiting = append(p.waiting, v)
	p.wake(v.host)
	p.mu.Unlock()
	defer p.forget(v)
	later := time.AfterFunc(ripe-time.Since(v.Since), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.wake(v.host)
	})
	defer later.Stop()

	_, err := conn.Reader.Peek(1)
	if p.guestOf(v) != nil {
		p.serve(ctx, v)
		return true
	}
	if err != nil || !p.isSeed(conn) {
		return false
	}
	if !conn.Admit() {
		return true
	}
	_ = conn.SetReadDeadline(time.Time{})
	p.serve(ctx, v)
	return true
}

// isSeed waits until it is clear whether the peer is a client of 2016.
func (p *Porter) isSeed(conn *transport.Stranger) bool {
	for {
		b, _ := conn.Reader.Peek(conn.Reader.Buffered())
		switch classify(b) {
		case request:
			return true
		case notSeed:
			return false
		}
		if _, err := conn.Reader.Peek(len(b) + 1); err != nil {
			return false
		}
	}
}

func (p *Porter) guestOf(v *visitor) *guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return v.guest
}

// forget removes the visitor from those that wait to be paired.
func (p *Porter) forget(v *visitor) {
	p.mu.Lock()
	for i, w := range p.waiting {
		if w == v {
			p.waiting = append(p.waiting[:i:i], p.waiting[i+1:]...)
			break
		}
	}
	p.mu.Unlock()
}

// serve answers requests until the client leaves or its connection ends.
func (p *Porter) serve(ctx context.Context, v *visitor) {
	said := p.answer(ctx, v)
	g := p.guestOf(v)
	if g == nil {
		return
	}
	p.mu.Lock()
	g.gone = true
	if g.absent != nil {
		g.absent.Stop()
	}
	in := g.in
	for i, other := range p.guests {
		if other == g {
			p.guests = append(p.guests[:i:i], p.guests[i+1:]...)
			break
		}
	}
	p.wake(g.host)
	p.mu.Unlock()
	if in != nil {
		p.cfg.Ports.release(g.host, g.port)
		in.leave(said)
	}
}

// answer returns true when the client says that it leaves.
func (p *Porter) answer(ctx context.Context, v *visitor) (left bool) {
	pace := rate.NewLimiter(requestsPerSecond, requestsAtOnce)
	for {
		b, ok := gather(v.Stranger)
		if !ok {
			return false
		}
		for len(b) > 0 {
			req, rest, known := cut(b, func(wish string) bool { return p.exists(ctx, v, wish) })
			if !known {
				break // unreadable: the next bytes may be better
			}
			if pace.Wait(ctx) != nil {
				return false
			}
			b = rest
			var reply []byte
			switch req.verb {
			case askSongs:
				reply = songList(listed(p.ask(ctx, v, "SONGS")))
			case askRequests:
				reply = requestList(listed(p.ask(ctx, v, "REQUESTS")))
			case askPlay:
				reply = sentence(p.ask(ctx, v, "PLAY "+req.wish))
			case sayLeave:
				p.correct(v, req.port)
				return true
			}
			_ = v.SetWriteDeadline(time.Now().Add(answerPatience))
			if _, err := v.Write(reply); err != nil {
				return false
			}
		}
	}
}

// correct swaps the visitor's pairing if it was paired with the wrong client of its host: the right one
// listens on the port. If several clients come at the same moment, only they know which is which.
func (p *Porter) correct(v *visitor, port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v.guest == nil {
		return
	}
	for _, g := range p.guests {
		if g != v.guest && g.host == v.host && int(g.port) == port && g.visitor.Since.Sub(v.Since).Abs() <= pairPatience {
			g.visitor.guest, v.guest.visitor = v.guest, g.visitor
			v.guest, g.visitor = g, v
			return
		}
	}
}

// gather reads what the client sent at once: all that is there and, if it is not clear that a request has
// ended, what comes within settle.
func gather(conn *transport.Stranger) ([]byte, bool) {
	if _, err := conn.Reader.Peek(1); err != nil {
		return nil, false
	}
	for {
		b, _ := conn.Reader.Peek(conn.Reader.Buffered())
		if done := string(b); done == askSongs || done == askRequests || len(b) >= maxRequest {
			break
		}
		_ = conn.SetReadDeadline(time.Now().Add(settle))
		if _, err := conn.Reader.Peek(len(b) + 1); err != nil {
			break
		}
	}
	_ = conn.SetReadDeadline(time.Time{})
	b := make([]byte, conn.Reader.Buffered())
	n, err := conn.Reader.Read(b)
	return b[:n], err == nil
}

// ask asks in the client's name if it has a place in the chain, otherwise as a stranger.
func (p *Porter) ask(ctx context.Context, v *visitor, line string) []string {
	p.mu.Lock()
	var in *standIn
	if v.guest != nil {
		in = v.guest.in
	}
	p.mu.Unlock()
	if in != nil {
		return in.ask(ctx, line)
	}
	return askPlainly(p.talk("", v.RemoteAddr()), line)
}

func (p *Porter) exists(ctx context.Context, v *visitor, wish string) bool {
	for _, name := range listed(p.ask(ctx, v, "SONGS")) {
		if name == wish {
			return true
		}
	}
	return false
}
