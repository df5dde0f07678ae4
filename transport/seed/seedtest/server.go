package seedtest

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"conga/messages/ports"
)

// Server is a seed server, with the habits of the program of 2016: it sends as fast as its first
// client reads, and pairs the two connections of a client by the order in which they come, so a
// lone connection to its requests is taken for the half of whoever comes next. A first client
// that goes without DC breaks it.
//
// Whoever comes to it in the place of a first one that has left gets the sound no faster than it
// plays: that may be a Client, and one that is sent all that its line holds reads a part of a
// header sooner or later.
type Server struct {
	Addr string // of its requests

	songs            [][]byte // sound of 44.1 kHz, 16-bit, left and right
	names            []string
	requests, stream net.Listener
	host             string
	port             int
	wg               sync.WaitGroup

	mu       sync.Mutex
	first    net.Conn
	clients  []net.Conn // request connections, in the order of the chain
	from     []string   // whence each came: its host
	shift    int        // ports that are given no more
	spliced  bool       // the first has left: who comes to the stream port is the second
	paced    time.Time  // when that one came; zero: nobody did
	sent     int        // messages since then
	queue    []string
	Messages []string // requests, as they came
	closed   bool
	late     time.Duration // see Late
	err      error         // why it plays no more
}

// Serve starts a server on two free ports in a row of the loopback address. It plays the songs
// one after the other, again and again, from when the first client is there.
func Serve(names []string, songs [][]byte) (*Server, error) {
	s := &Server{names: names, songs: songs, host: "127.0.0.1"}
	if err := s.listen(); err != nil {
		return nil, err
	}
	s.wg.Go(s.accept)
	s.wg.Go(s.play)
	return s, nil
}

// listen takes two ports above which those of the next clients are free, too.
func (s *Server) listen() (err error) {
	const clients = 4
	if s.port, err = ports.Free(2 + clients); err != nil {
		return err
	}
	s.Addr = net.JoinHostPort(s.host, strconv.Itoa(s.port))
	if s.requests, err = net.Listen("tcp", s.Addr); err != nil {
		return err
	}
	if s.stream, err = net.Listen("tcp", net.JoinHostPort(s.host, strconv.Itoa(s.port+1))); err != nil {
		return errors.Join(err, s.requests.Close())
	}
	return nil
}

func (s *Server) accept() {
	for {
		conn, err := s.stream.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		splice := s.spliced && len(s.clients) > 0
		s.mu.Unlock()
		if splice {
			s.feed(conn, time.Now())
			continue
		}
		requests, err := s.requests.Accept()
		if err != nil {
			_ = conn.Close()
			return
		}
		s.welcome(conn, requests)
	}
}

// feed makes conn the first client's, which is paced from a time on, or not at all.
func (s *Server) feed(conn net.Conn, paced time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spliced, s.paced, s.sent = false, paced, 0
	if s.first != nil {
		_ = s.first.Close()
	}
	s.first = conn
	if s.closed {
		_ = conn.Close()
	}
}

func (s *Server) welcome(conn, requests net.Conn) {
	s.mu.Lock()
	host, lone := s.host, len(s.clients) == 0
	if !lone {
		host = s.from[len(s.from)-1]
	}
	port := s.port + 2 + s.shift + len(s.clients)
	remote, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	s.clients, s.from = append(s.clients, requests), append(s.from, remote)
	s.mu.Unlock()
	for _, text := range []string{"NS/2/88200/176", "HOST/" + host, fmt.Sprintf("PORT/%d", port)} {
		_, _ = fmt.Fprintf(conn, "%-100s", text)
	}
	s.wg.Go(func() { s.answer(requests) })
	if lone {
		if music, err := s.stream.Accept(); err == nil {
			s.feed(music, time.Time{})
		}
	}
	_ = conn.Close()
}

func (s *Server) play() {
	for {
		for _, song := range s.songs {
			if !s.say("NS100 ", fmt.Appendf(nil, "%-100s", "2/88200/176")) {
				return
			}
			for len(song) > 0 {
				n := min(176, len(song))
				if !s.say(fmt.Sprintf("SC%-4d", n), song[:n]) {
					return
				}
				song = song[n:]
			}
		}
	}
}

// say waits for a first client, and sends. False at the end.
func (s *Server) say(header string, payload []byte) bool {
	for {
		s.mu.Lock()
		first, closed := s.first, s.closed
		early := !s.paced.IsZero() && time.Since(s.paced) < time.Duration(s.sent)*time.Millisecond-buffered
		s.mu.Unlock()
		switch {
		case closed || s.err != nil:
			return false
		case first == nil || early:
			<-time.After(time.Millisecond)
			continue
		}
		_, err := first.Write([]byte(header))
		if err == nil {
			_, err = first.Write(payload)
		}
		s.mu.Lock()
		s.sent++ // a millisecond of sound, as a rule
		if err != nil && s.first == first && !s.closed {
			s.err = fmt.Errorf("play to the first client: %w", err)
		}
		s.mu.Unlock()
		return true
	}
}

func (s *Server) answer(conn net.Conn) {
	buf := make([]byte, 100)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		text := string(buf[:n])
		s.mu.Lock()
		s.Messages = append(s.Messages, text)
		if late := s.late; strings.HasPrefix(text, "DC,") && late > 0 {
			s.mu.Unlock()
			<-time.After(late)
			s.mu.Lock()
		}
		fields := strings.Split(text, ",")
		switch fields[0] {
		case "SONGLIST":
			quoted := make([]string, len(s.names))
			for i, name := range s.names {
				quoted[i] = "'" + name + "'"
			}
			list := "[" + strings.Join(quoted, ", ") + "]"
			_, _ = fmt.Fprintf(conn, "%d##%s", len(list), list)
		case "REQUESTLIST":
			list := strings.Join(s.queue, ",")
			_, _ = fmt.Fprintf(conn, "%d##%s", len(list), list)
		case "PLAY":
			s.queue = append(s.queue, fields[1])
			_, _ = fmt.Fprintf(conn, "Song %s requested!", fields[1])
		case "DC":
			s.leave(conn, fields)
		}
		s.mu.Unlock()
	}
}

// leave takes the client out. s.mu is held.
func (s *Server) leave(conn net.Conn, fields []string) {
	for i, client := range s.clients {
		if client != conn {
			continue
		}
		s.clients = append(s.clients[:i:i], s.clients[i+1:]...)
		s.from = append(s.from[:i:i], s.from[i+1:]...)
		if i == 0 {
			s.spliced = true
			if s.first != nil {
				_ = s.first.Close()
				s.first = nil
			}
		}
		s.shift++
		if i == len(s.clients) && len(fields) == 5 {
			if port, err := strconv.Atoi(fields[4]); err == nil {
				s.shift = port - 2 - s.port - len(s.clients)
			}
		}
		return
	}
}

// Late makes the thread that hears of a client's leaving act so much later: the one that plays may run meanwhile.
func (s *Server) Late(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = by
}

// Err says why the server plays no more, if it does not.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Said are the requests that have come.
func (s *Server) Said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.Messages...)
}

// Close ends the server.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	conns := append([]net.Conn(nil), s.clients...)
	if s.first != nil {
		conns = append(conns, s.first)
	}
	s.mu.Unlock()
	err := errors.Join(s.requests.Close(), s.stream.Close())
	for _, conn := range conns {
		_ = conn.Close()
	}
	s.wg.Wait()
	return err
}
