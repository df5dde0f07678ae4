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
	// maxAnswer is the longest line that the server sends, in bytes.
	maxAnswer = 1 << 20
)

var errAway = errors.New("the server does not answer")

// standIn is the native that stands in for a client of 2016: it has the client's place in the chain
// and speaks lines with the server's request port.
type standIn struct {
	node *messages.Node
	// moved is called with the node's ancestors, nearest first, by the goroutine that reads.
	moved func(ancestors []*messages.Node)

	mu      sync.Mutex
	conn    net.Conn
	waiting map[string]chan []string // by an Ask's id
	wg      sync.WaitGroup
}

// join takes a place in the chain, on a connection to the server's request port. After an error it has
// none.
func (s *standIn) join(ctx context.Context, conn net.Conn) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerPatience, errAway)
	defer cancel()
	first := make(chan error, 2)
	over := make(chan struct{})
	s.mu.Lock()
	s.conn, s.waiting = conn, map[string]chan []string{}
	s.mu.Unlock()
	s.wg.Go(func() {
		defer close(over)
		first <- s.read(conn, first)
	})
	err := write(conn, &messages.Hello{Version: messages.DialectVersion, Node: s.node})
	s.wg.Go(func() { ping(conn, over) })
	if err == nil {
		select {
		case err = <-first:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		_ = conn.Close()
		s.wg.Wait()
		return fmt.Errorf("stand in for %s: %w", s.node.GetName(), err)
	}
	return nil
}

// read handles the server's lines until the connection ends. It sends nil to first when there is a place.
func (s *standIn) read(conn net.Conn, first chan<- error) error {
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
				first <- nil
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

// ping pings the server until the connection is over.
func ping(conn net.Conn, over <-chan struct{}) {
	every := time.NewTicker(pingEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			_ = write(conn, &messages.ClockPing{SentUs: time.Now().UnixMicro()}) // read notices if the connection has ended
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

// leave gives the place up. said: the client has said that it leaves; otherwise it has vanished.
func (s *standIn) leave(said bool) {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if said && write(conn, &messages.LeaveChain{Id: s.node.GetId()}) == nil {
		_ = conn.SetReadDeadline(time.Now().Add(answerPatience)) // the server closes when it has read it
		s.wg.Wait()
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

// askPlainly sends one line as a stranger does, for a client without a place.
func askPlainly(conn net.Conn, line string) []string {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerPatience))
	go func() { _, _ = io.WriteString(conn, line+"\nQUIT\n") }()
	var lines []string
	in := bufio.NewScanner(conn)
	for in.Scan() {
		if in.Text() != "" {
			lines = append(lines, in.Text())
		}
	}
	return lines
}
