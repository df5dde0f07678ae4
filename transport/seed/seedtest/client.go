package seedtest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Song is what a client heard between two NS.
type Song struct {
	Format string // "2/88200/176"
	Bytes  int
	SHA256 string
	Early  bool // the client had it from its first NS or from the join on: perhaps not whole
}

// Client is a seed client. Its methods may be called by any goroutine.
//
// It has the habits of the program of 2016: it opens its sound for a while before it passes
// anything on, plays what comes at once, and never catches up what it was held up. A listener
// of its own that is gone breaks it when it passes on a song change, or when the end was a
// reset; then, as when the one above vanishes, its music ends for good, and its request
// connection, its port and whoever hangs on it stay as they are.
type Client struct {
	Packets [3]string // as they came, spaces included
	Port    int       // that it listens on

	gate, requests net.Conn
	listener       net.Listener
	wg             sync.WaitGroup
	begun          time.Time

	mu      sync.Mutex
	from    net.Conn
	host    string // whom it receives from, and the port above that
	port    int
	to      net.Conn // its own listener
	fed     int      // listeners so far
	leaving bool
	pieces  int64
	lasts   time.Duration // what it has heard
	told    []string      // DC
	held    time.Time     // until then it passes on nothing
	songs   []Song
	sum     interface {
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}
	err error
}

// Join opens PORT+1 and PORT of the server at addr, its request address, in this order.
func Join(addr string) (*Client, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	gate, err := net.Dial("tcp4", net.JoinHostPort(host, strconv.Itoa(port+1)))
	if err != nil {
		return nil, err
	}
	requests, err := net.Dial("tcp4", addr)
	if err != nil {
		return nil, errors.Join(err, gate.Close())
	}
	c := &Client{gate: gate, requests: requests, sum: sha256.New()}
	if err := c.take(); err != nil {
		return nil, errors.Join(err, c.Kill())
	}
	c.wg.Go(c.accept)
	c.wg.Go(c.stream)
	return c, nil
}

// take reads the three packets, each with one read, listens, and goes where it is told.
func (c *Client) take() error {
	buf := make([]byte, 100)
	for i := range c.Packets {
		n, err := c.gate.Read(buf)
		if err != nil {
			return fmt.Errorf("packet %d: %w", i, err)
		}
		c.Packets[i] = string(buf[:n])
	}
	song := strings.Split(c.Packets[0], "/")
	host := strings.Split(c.Packets[1], "/")
	port := strings.Split(c.Packets[2], "/")
	if len(song) != 4 || song[0] != "NS" || len(host) != 2 || host[0] != "HOST" || len(port) != 2 || port[0] != "PORT" {
		return fmt.Errorf("packets %q", c.Packets)
	}
	var err error
	if c.Port, err = strconv.Atoi(strings.TrimRight(port[1], " ")); err != nil {
		return err
	}
	c.host, c.port = strings.TrimRight(host[1], " "), c.Port
	c.songs = []Song{{Format: strings.TrimRight(strings.Join(song[1:], "/"), " "), Early: true}}
	if c.listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.Port)); err != nil {
		return err
	}
	_ = c.gate.Close()
	c.from, err = dial(c.host, c.port-1)
	return err
}

func dial(host string, port int) (net.Conn, error) {
	return net.Dial("tcp4", net.JoinHostPort(host, strconv.Itoa(port)))
}

// accept takes one listener after the other, the next when the one before is gone.
func (c *Client) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		c.to = conn
		c.fed++
		c.mu.Unlock()
		for { // it finds out by its next send that the listener is gone
			c.mu.Lock()
			gone := c.to != conn || c.leaving
			c.mu.Unlock()
			if gone {
				break
			}
			<-time.After(time.Millisecond)
		}
	}
}

// stream plays until the end, or until something is not as expected.
func (c *Client) stream() {
	err := c.play()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.leaving {
		c.err = err
	}
}

func (c *Client) play() error {
	<-time.After(opening)
	c.begun = time.Now()
	for {
		c.mu.Lock()
		held := time.Until(c.held)
		c.mu.Unlock()
		if held > 0 {
			<-time.After(held)
		}
		c.mu.Lock()
		from := c.from
		c.mu.Unlock()
		header := make([]byte, 6)
		n, err := from.Read(header) // one read, whatever it gives
		if err != nil {
			return err
		}
		size, err := strconv.Atoi(strings.TrimRight(string(header[2:n]), " "))
		if err != nil {
			return fmt.Errorf("header %q: %w", header[:n], err)
		}
		payload := make([]byte, size)
		for at := 0; at < size; {
			n, err := from.Read(payload[at:])
			if err != nil {
				return err
			}
			at += n
		}
		switch kind := string(header[:2]); kind {
		case "SC":
			c.hear(payload)
			if err := c.pass(header, payload); errors.Is(err, syscall.ECONNRESET) {
				return fmt.Errorf("pass on sound: %w", err)
			}
		case "NS":
			c.song(strings.TrimRight(string(payload), " "))
			if err := c.pass(header, payload); err != nil {
				return fmt.Errorf("pass on a song change: %w", err)
			}
		case "DC":
			if err := c.turn(string(payload)); err != nil {
				return err
			}
		default:
			return fmt.Errorf("kind %q", kind)
		}
	}
}

// hear plays: it takes as long as the sound lasts, beyond a small buffer.
func (c *Client) hear(sound []byte) {
	c.mu.Lock()
	c.pieces++
	c.songs[len(c.songs)-1].Bytes += len(sound)
	_, _ = c.sum.Write(sound)
	rate := 88200
	if fields := strings.Split(c.songs[len(c.songs)-1].Format, "/"); len(fields) == 3 {
		rate, _ = strconv.Atoi(fields[1])
	}
	c.lasts += time.Duration(len(sound)) * time.Second / time.Duration(2*rate)
	over := c.begun.Add(c.lasts)
	if time.Since(over) > buffered { // there was nothing to play
		c.begun = c.begun.Add(time.Since(over))
	}
	c.mu.Unlock()
	if early := time.Until(over) - buffered; early > 0 {
		<-time.After(early)
	}
}

// buffered is what lies in the sound card, and opening how long it takes to open.
const buffered, opening = 50 * time.Millisecond, 200 * time.Millisecond

func (c *Client) song(format string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close()
	before := c.songs[len(c.songs)-1]
	c.songs = append(c.songs, Song{Format: format, Early: before.Early && before.Bytes == 0})
}

// close takes the sum of the song so far. c.mu is held.
func (c *Client) close() {
	last := &c.songs[len(c.songs)-1]
	last.SHA256 = hex.EncodeToString(c.sum.Sum(nil))
	c.sum = sha256.New()
}

func (c *Client) pass(header, payload []byte) error {
	c.mu.Lock()
	to := c.to
	c.mu.Unlock()
	if to == nil {
		return nil
	}
	_, err := to.Write(header)
	if err == nil {
		_, err = to.Write(payload)
	}
	if err != nil {
		_ = to.Close()
		c.mu.Lock()
		if c.to == to {
			c.to = nil
		}
		c.mu.Unlock()
	}
	return err
}

// Hold stops the client for a while, as a busy machine does: it reads, plays and passes on nothing.
func (c *Client) Hold(pause time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = time.Now().Add(pause)
}

// Fed is how many have come to receive from it.
func (c *Client) Fed() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fed
}

// turn goes where DC says.
func (c *Client) turn(payload string) error {
	fields := strings.Split(payload, "#")
	if len(fields) != 4 {
		return fmt.Errorf("DC %q", payload)
	}
	port, err := strconv.Atoi(fields[3])
	if err != nil {
		return fmt.Errorf("DC %q: %w", payload, err)
	}
	_ = c.from.Close()
	conn, err := dial(fields[1], port-1)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, payload)
	c.from, c.host, c.port = conn, fields[1], port
	if c.leaving {
		_ = conn.Close()
	}
	return nil
}

// List sends SONGLIST or REQUESTLIST and reads the answer as the 2016 program does: ten bytes, and
// then, if the length is more than two, once more.
func (c *Client) List(verb string) (string, error) {
	_ = c.requests.SetDeadline(time.Now().Add(patience))
	if _, err := c.requests.Write([]byte(verb)); err != nil {
		return "", err
	}
	buf := make([]byte, 10)
	n, err := c.requests.Read(buf)
	if err != nil {
		return "", err
	}
	length, text, ok := strings.Cut(string(buf[:n]), "##")
	size, err := strconv.Atoi(length)
	if err != nil || !ok {
		return "", fmt.Errorf("%q: %w", buf[:n], err)
	}
	if size > 2 {
		more := make([]byte, size-2)
		n, err := c.requests.Read(more)
		if err != nil {
			return "", fmt.Errorf("the rest of %q: %w", buf, err)
		}
		text += string(more[:n])
	}
	return text, nil
}

const patience = 20 * time.Second

// Play requests a song.
func (c *Client) Play(wish string) (string, error) {
	_ = c.requests.SetDeadline(time.Now().Add(patience))
	if _, err := c.requests.Write([]byte("PLAY," + wish)); err != nil {
		return "", err
	}
	buf := make([]byte, 100)
	n, err := c.requests.Read(buf)
	return string(buf[:n]), err
}

// Leave stops receiving, and after pause says DC to its listener and to the server, in this
// order.
func (c *Client) Leave(pause time.Duration) error {
	c.mu.Lock()
	c.leaving = true
	from, to, host, port := c.from, c.to, c.host, c.port
	c.mu.Unlock()
	_ = from.SetReadDeadline(time.Now())
	<-time.After(pause)
	if to != nil {
		text := fmt.Sprintf("HOST#%s#PORT#%d", host, port)
		_, _ = to.Write(fmt.Appendf(nil, "DC%-4d", len(text)))
		_, _ = to.Write([]byte(text))
	}
	if _, err := fmt.Fprintf(c.requests, "DC,HOST,%s,PORT,%d", host, port); err != nil {
		return err
	}
	return c.Kill()
}

// Kill ends the client without a word.
func (c *Client) Kill() error {
	c.mu.Lock()
	c.leaving = true
	conns := []net.Conn{c.gate, c.requests, c.from, c.to}
	c.mu.Unlock()
	if c.listener != nil {
		_ = c.listener.Close()
	}
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	c.wg.Wait()
	return nil
}

// Heard is what has come so far: messages of sound, DCs, and the songs that are over; and why the
// client is at its end, if it is.
func (c *Client) Heard() (pieces int64, told []string, songs []Song, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pieces, append([]string(nil), c.told...), append([]Song(nil), c.songs[:len(c.songs)-1]...), c.err
}
