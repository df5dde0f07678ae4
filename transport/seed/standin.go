package seed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/transport"
)

const (
	// answerPatience is how long the server may take to answer its own stand-in.
	answerPatience = 5 * time.Second
	pingEvery      = time.Second
	// maxAnswer is the longest line of the server's.
	maxAnswer = 1 << 20
)

var errAway = errors.New("the server does not answer")

// standIn is the native that stands in for a seed client: it has the client's place in the chain
// and speaks lines with the server's own request port.
type standIn struct {
	dial func(context.Context) (net.Conn, error)
	node *messages.Node
	// moved is told the node's ancestors, by the goroutine that reads; nearest first.
	moved func(ancestors []*messages.Node)

	mu      sync.Mutex
	conn    net.Conn
	waiting map[string]chan []string // by an Ask's id
	wg      sync.WaitGroup
}

// join takes a place in the chain, or comes back to it with another relay. It returns the
// ancestors, nearest first. After an error there is no place.
func (s *standIn) join(ctx context.Context, relay string) ([]*messages.Node, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerPatience, errAway)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("stand in for %s: %w", s.node.GetName(), err)
	}
	s.node.Relay = relay
	hello := &messages.Hello{Version: messages.DialectVersion, Node: s.node}
	if err := write(conn, hello); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("stand in for %s: %w", s.node.GetName(), err)
	}
	s.mu.Lock()
	before := s.conn
	s.conn, s.waiting = conn, map[string]chan []string{}
	s.mu.Unlock()

	first := make(chan any, 2) // the ancestors, or an error
	over := make(chan struct{})
	s.wg.Go(func() {
		defer close(over)
		first <- s.read(conn, first)
	})
	s.wg.Go(func() { ping(conn, over) })
	var answer any
	select {
	case answer = <-first:
	case <-ctx.Done():
		answer = context.Cause(ctx)
	}
	if before != nil {
		_ = before.Close() // the server has closed it already
	}
	if ancestors, is := answer.([]*messages.Node); is {
		return ancestors, nil
	}
	_ = conn.Close()
	return nil, fmt.Errorf("stand in for %s: %w", s.node.GetName(), answer.(error))
}

// read takes the server's lines until the connection ends; first gets the ancestors that come first.
func (s *standIn) read(conn net.Conn, first chan<- any) error {
	lines := bufio.NewScanner(conn)
	lines.Buffer(make([]byte, 0, messages.MaxLine), maxAnswer)
	told := false
	for lines.Scan() {
		m, err := transport.ParseLine(lines.Text())
		if err != nil {
			continue // a word of a later dialect
		}
		switch m := m.(type) {
		case *messages.Neighbours:
			if !told {
				told = true
				first <- m.GetAncestors()
			}
			s.moved(m.GetAncestors())
		case *messages.Refused:
			_ = conn.Close()
			return errors.New(m.GetReason())
		case *messages.Answer:
			s.mu.Lock()
			reply := s.waiting[m.GetRequestId()]
			delete(s.waiting, m.GetRequestId())
			s.mu.Unlock()
			if reply != nil {
				reply <- m.GetLines()
			}
		}
	}
	_ = conn.Close()
	return errAway
}

// ping shows that the stand-in lives, until its connection is over.
func ping(conn net.Conn, over <-chan struct{}) {
	every := time.NewTicker(pingEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			_ = write(conn, &messages.ClockPing{SentUs: time.Now().UnixMicro()}) // the reader sees the end
		case <-over:
			return
		}
	}
}

// ask sends a typed line, and waits for its answer.
func (s *standIn) ask(ctx context.Context, line string) []string {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	ask := &messages.Ask{RequestId: uuid.NewString(), Line: line}
	reply := make(chan []string, 1)
	s.mu.Lock()
	conn := s.conn
	s.waiting[ask.RequestId] = reply
	s.mu.Unlock()
	if write(conn, ask) != nil {
		return nil
	}
	select {
	case lines := <-reply:
		return lines
	case <-ctx.Done():
		return nil
	}
}

// leave gives the place up: the client has said so, or has vanished.
func (s *standIn) leave(said bool) {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn == nil {
		return
	}
	if said {
		_ = write(conn, &messages.LeaveChain{Id: s.node.GetId()})
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
			_ = conn.SetReadDeadline(time.Now().Add(answerPatience)) // the server closes when it has read it
			s.wg.Wait()
		}
	}
	_ = conn.Close()
	s.wg.Wait()
}

func write(conn net.Conn, m proto.Message) error {
	line, err := transport.AppendLine(nil, m)
	if err != nil {
		return err
	}
	_ = conn.SetWriteDeadline(time.Now().Add(answerPatience))
	_, err = conn.Write(line)
	return err
}

// askPlainly sends one line as a stranger does, for a client of which nothing is known.
func askPlainly(ctx context.Context, dial func(context.Context) (net.Conn, error), line string) []string {
	conn, err := dial(ctx)
	if err != nil {
		return nil
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerPatience))
	if _, err := io.WriteString(conn, line+"\nQUIT\n"); err != nil {
		return nil
	}
	var lines []string
	in := bufio.NewScanner(conn)
	for in.Scan() {
		if in.Text() != "" {
			lines = append(lines, in.Text())
		}
	}
	return lines
}
