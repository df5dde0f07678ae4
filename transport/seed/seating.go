package seed

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/google/uuid"

	"conga/messages"
	"conga/transport"
)

// join gives the client its place behind the last one, on the port above that one's. The chain is
// told once the client has its packets and listens, before it is fed.
func (p *Porter) join(ctx context.Context, conn *transport.Stranger, v *visitor) {
	select {
	case p.joining <- struct{}{}:
		defer func() { <-p.joining }()
	case <-ctx.Done():
		return
	}
	g := v.guest
	in, err := p.settle(ctx, conn, g)
	if err != nil {
		p.cfg.Ports.release(g.host, g.port)
		p.mu.Lock()
		g.gone = true
		p.mu.Unlock()
		_ = v.Close()
		return
	}
	p.mu.Lock()
	gone := g.gone // its request connection has ended meanwhile
	if !gone {
		g.in = in
		p.guests = append(p.guests, g)
		if g.above == messages.ServerID {
			p.hears(g, 0)
		}
		p.wake(g.host)
	}
	p.mu.Unlock()
	if gone {
		p.cfg.Ports.release(g.host, g.port)
		in.leave(false)
	}
}

// errFull is never sent: such a client understands no reason.
var errFull = errors.New("there is no room for another client of 2016")

// settle tells the client its place, and then the chain of the client.
func (p *Porter) settle(ctx context.Context, conn *transport.Stranger, g *guest) (*standIn, error) {
	p.mu.Lock()
	full := len(p.guests) >= p.cfg.Max
	p.mu.Unlock()
	if full {
		return nil, errFull
	}
	asking, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	above, err := p.cfg.Above(asking)
	if err != nil {
		return nil, err
	}
	s, err := p.seat(conn, above)
	if err != nil {
		return nil, err
	}
	g.port, g.apart, g.told = s.port, s.apart, p.cfg.Feeder.format(ctx)
	told := time.Now()
	if err := p.tell(conn, Join{Format: g.told, Host: s.host, Port: s.port}); err != nil {
		return nil, err
	}
	fedBy := above.GetId()
	if s.apart {
		fedBy = messages.ServerID
	}
	at := net.JoinHostPort(listensAt(g.host, s.port), strconv.Itoa(int(s.port)))
	g.node = &messages.Node{Id: uuid.NewString(), Name: "seed-" + net.JoinHostPort(g.host, strconv.Itoa(int(s.port))), Relay: at}
	g.above = fedBy
	if s.own {
		p.mu.Lock()
		g.due(told)
		p.mu.Unlock()
	}
	in := &standIn{node: g.node, moved: func(ancestors []*messages.Node) { p.moved(g, ancestors) }}
	return in, in.join(ctx, p.talk(fedBy, g.visitor.RemoteAddr()))
}

// seat is the host that a client should receive from, and the port that it should listen on.
type seat struct {
	host  string
	port  uint16
	own   bool // it will come to the server's stream port
	apart bool // it will come to a further port of the server, opened for it alone
}

func (p *Porter) seat(conn net.Conn, above *messages.Node) (seat, error) {
	client, here := hostOf(conn.RemoteAddr()), hostOf(conn.LocalAddr())
	if above.GetId() == messages.ServerID {
		if port := p.cfg.Ports.first(); p.cfg.Ports.reserve(client, port) {
			return seat{host: here, port: port, own: true}, nil
		}
	} else if host, at, err := net.SplitHostPort(above.GetRelay()); err == nil && isIPv4(host) {
		if n, err := strconv.ParseUint(at, 10, 16); err == nil && n < 65535 && p.cfg.Ports.reserve(client, uint16(n)+1) {
			return seat{host: host, port: uint16(n) + 1}, nil
		}
	}
	// The port above that of the node above is not free, so the server feeds the client itself.
	port, err := p.cfg.Ports.open(client)
	return seat{host: here, port: port, apart: true}, err
}

// tell sends the three packets in one write, so that they arrive whole, and waits until the client
// hangs up: then it listens.
func (p *Porter) tell(conn net.Conn, join Join) error {
	var all []byte
	for _, packet := range join.Packets() {
		var err error
		if all, err = AppendPacket(all, packet); err != nil {
			return err
		}
	}
	_ = conn.SetDeadline(time.Now().Add(packetPatience))
	if _, err := conn.Write(all); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, io.LimitReader(conn, messages.MaxPayload))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return err
	}
	return nil // the end of the connection, or a reset, which means the same
}

// moved gets the ancestors that the client would have if it were a native. If its upstream has left and
// the server is next, the client will come to the server.
func (p *Porter) moved(g *guest, ancestors []*messages.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(ancestors) == 0 {
		return
	}
	before := g.above
	g.above = ancestors[0].GetId()
	if g.in == nil || g.apart || g.above == before || g.above != messages.ServerID {
		return
	}
	g.told = Format{} // its feeder may have told it another since
	g.due(time.Now().Add(-pairPatience))
	p.hears(g, 0)
	p.wake(g.host)
}

// talk returns a connection to the server's request port for the client at that address.
func (p *Porter) talk(fedBy string, from net.Addr) net.Conn {
	here, there := net.Pipe()
	p.cfg.Speak(&transport.StandIn{Conn: there, FedBy: fedBy, From: from})
	return here
}
