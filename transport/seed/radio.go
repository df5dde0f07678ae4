package seed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"conga/messages"
	"conga/messages/plain"
	"conga/transport"
)

// Radio makes a server of 2016 look like a native one to our listener: Requests and Stream return
// connections to the Radio, which speaks as a native server does. It gives the music numbers and times,
// because the protocol of 2016 has none.
type Radio struct {
	join Join
	gate net.Conn // the connection that brought the join; nil once Listening

	stream string // address of the server's stream port

	requests net.Conn
	answers  *bufio.Reader
	asking   sync.Mutex // one request at a time: nothing tells whose an answer is

	left chan struct{} // closed when the server has been told that the listener leaves
	once sync.Once     // closes left

	lost chan struct{} // closed when the node that fed this listener is gone for good

	life context.Context // ends with Close
	end  context.CancelFunc
	wg   sync.WaitGroup // streams
	said sync.WaitGroup // conversations on Requests

	mu    sync.Mutex
	above string    // host:port that the music comes from
	moved time.Time // when the node above said to go there
	songs int       // how many have begun so far
	going bool      // the server was told that the listener leaves: it would take it for a newcomer now
	first bool      // the music comes from the server itself
	// missed is since when nobody answers at above; zero: somebody does.
	missed time.Time
}

// goneAfter is how long the node above may give no answer before this listener ends: in the chain
// of a server of 2016 no one says where else to get the music.
const goneAfter = 10 * time.Second

// ErrLost: the node that fed this listener is gone without a message.
var ErrLost = errors.New("the node that fed this listener is gone, and a server of 2016 does not say where to go on: join again")

// Lost returns a channel that is closed when ErrLost has happened.
func (r *Radio) Lost() <-chan struct{} { return r.lost }

// dialled records whether the node above answers now.
func (r *Radio) dialled(answers bool, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case answers:
		r.missed = time.Time{}
	case r.missed.IsZero():
		r.missed = now
	case now.Sub(r.missed) >= goneAfter:
		select {
		case <-r.lost:
		default:
			close(r.lost)
		}
	}
}

// hearsay is how long a server may take to learn that a client leaves. If somebody asks it for music
// before that, it takes the asker for a new client, and waits for its requests for ever.
const hearsay = 200 * time.Millisecond

// errOver: the client's only request connection is gone.
var errOver = errors.New("the server has ended the request connection; join again")

// Tune joins the server whose request port is at addr. The listener must then open Port and
// call Listening before it asks for the music.
func Tune(ctx context.Context, addr string) (*Radio, error) {
	stream, err := transport.StreamOf(addr)
	if err != nil {
		return nil, err
	}
	// The server pairs the two connections by this order.
	gate, err := transport.DialServer(ctx, stream)
	if err != nil {
		return nil, unlike2016(addr, err)
	}
	requests, err := transport.DialServer(ctx, addr)
	if err != nil {
		return nil, errors.Join(unlike2016(addr, err), gate.Close())
	}
	_ = gate.SetReadDeadline(time.Now().Add(2 * answerPatience))
	defer context.AfterFunc(ctx, func() { _ = gate.Close() })()
	join, err := ReadJoin(gate)
	if err != nil {
		return nil, errors.Join(unlike2016(addr, err), gate.Close(), requests.Close())
	}
	life, end := context.WithCancel(context.Background())
	return &Radio{
		join: join, gate: gate, stream: gate.RemoteAddr().String(), requests: requests, answers: bufio.NewReader(requests), left: make(chan struct{}),
		life: life, end: end, lost: make(chan struct{}),
		above: net.JoinHostPort(join.Host, strconv.Itoa(int(join.Port)-1)),
	}, nil
}

// unlike2016 returns an error that says why this is no server of 2016, and what to do.
func unlike2016(addr string, err error) error {
	var op *net.OpError
	switch network := net.Error(nil); {
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return fmt.Errorf("stopped before %s answered", addr)
	case errors.As(err, &network) && network.Timeout():
		err = errors.New("it says nothing")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it ends the connection")
	case errors.Is(err, ErrPacket):
		err = errors.New("it says something else")
	case errors.As(err, &op):
		err = op.Err
	}
	return fmt.Errorf("no server of 2016 answers at %s: %w: give the host and port that such a client is started with, or leave out --seed-dialect", addr, err)
}

// Port returns the port on which the listener must listen for the next one.
func (r *Radio) Port() uint16 { return r.join.Port }

// Listening ends the join. Call it when Port is open for the next client.
func (r *Radio) Listening() {
	if r.gate != nil {
		_ = r.gate.Close()
		r.gate = nil
	}
}

// Upstream returns host:port of the node that feeds this listener.
func (r *Radio) Upstream() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.above
}

// Farewell is Upstream for the listener's own DC, for Feeder.Upstream. It returns once the server has been
// told that the listener leaves, or after hearsay.
func (r *Radio) Farewell(bool) []string {
	select {
	case <-r.left:
	case <-time.After(hearsay):
	}
	return []string{r.Upstream()}
}

// Close ends all connections and returns when they have ended: if the process ended earlier, they would be
// reset, which breaks the program above. Without an earlier LEAVECHAIN the server counts this listener as
// lost.
func (r *Radio) Close() error {
	r.Listening()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		r.said.Wait()
	}()
	select { // a LEAVECHAIN may still be on its way
	case <-heard:
	case <-time.After(goodbyePatience):
	}
	if r.outlasts() {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.wg.Wait()
		}()
		select {
		case <-ended:
		case <-time.After(goodbyePatience):
		}
	}
	r.end()
	err := r.requests.Close()
	r.wg.Wait()
	<-heard
	return err
}

// outlasts reports whether the server will end the stream, because it feeds this listener and was told that it leaves. If the
// listener ended it, the thread that plays might find that before the one that reads the message has done its part: it would break.
func (r *Radio) outlasts() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.going && r.first
}

// Requests returns a connection that behaves like a native server's request port. It is for a listener's
// RequestLinkConfig.Dial.
func (r *Radio) Requests(context.Context, string) (net.Conn, error) {
	here, there := net.Pipe()
	r.said.Go(func() {
		defer context.AfterFunc(r.life, func() { _ = there.Close() })()
		defer there.Close()
		r.converse(there)
	})
	return here, nil
}

// converse answers a native's lines.
func (r *Radio) converse(conn net.Conn) {
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		m, err := transport.ParseLine(lines.Text())
		if err != nil {
			continue
		}
		now := time.Now().UnixMicro()
		switch m := m.(type) {
		case *messages.Hello:
			if write(conn, &messages.Welcome{
				Version: messages.DialectVersion, Node: m.GetNode(), Epoch: 1,
				ServerUnixUs: now,
			}) != nil {
				return
			}
			err = write(conn, &messages.Neighbours{Id: m.GetNode().GetId(), Event: 1})
		case *messages.ClockPing:
			err = write(conn, &messages.ClockPong{SentUs: m.GetSentUs(), ServerUnixUs: now})
		case *messages.Ask:
			err = write(conn, &messages.Answer{RequestId: m.GetRequestId(), Lines: r.answer(m.GetLine())})
		case *messages.LeaveChain:
			r.leave()
			return
		}
		if err != nil {
			return
		}
	}
}

// answer asks the server what the typed line asks, and returns its answer as lines.
func (r *Radio) answer(line string) []string {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	r.asking.Lock()
	defer r.asking.Unlock()
	switch strings.ToUpper(word) {
	case "SONGS":
		return r.list(askSongs, pythonList, "No songs at this time")
	case "REQUESTS":
		return r.list(askRequests, commaList, "No requests at this time")
	case "PLAY":
		if rest == "" {
			return []string{"Say which song: PLAY <name or number>"}
		}
		if err := r.send(askPlay + rest); err != nil {
			return []string{err.Error()}
		}
		text, err := r.sentence()
		if err != nil {
			return []string{errOver.Error()}
		}
		return []string{text}
	}
	return []string{"I do not know that word. A server of 2016 knows SONGS, REQUESTS and PLAY <name or number>."}
}

func (r *Radio) send(text string) error {
	_ = r.requests.SetDeadline(time.Now().Add(answerPatience))
	// The rest of an earlier answer belongs to no request.
	_, _ = r.answers.Discard(r.answers.Buffered())
	if _, err := r.requests.Write([]byte(text)); err != nil {
		return errOver
	}
	return nil
}

// list asks for a list and numbers it.
func (r *Radio) list(verb string, parse func(string) []string, none string) []string {
	if err := r.send(verb); err != nil {
		return []string{err.Error()}
	}
	text, err := readMeasured(r.answers)
	if err != nil {
		return []string{"The server has not answered: " + err.Error()}
	}
	names := parse(text)
	if len(names) == 0 {
		return []string{none}
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%d. %s", i+1, name)
	}
	return names
}

// maxShown is how many bytes of the server's answer are shown.
const maxShown = 255

// sentence reads an answer whose end is not marked: all that comes with gaps shorter than settle.
func (r *Radio) sentence() (string, error) {
	if _, err := r.answers.Peek(1); err != nil {
		return "", err
	}
	for r.answers.Buffered() < maxRequest {
		_ = r.requests.SetReadDeadline(time.Now().Add(settle))
		if _, err := r.answers.Peek(r.answers.Buffered() + 1); err != nil {
			break
		}
	}
	b := make([]byte, r.answers.Buffered())
	n, _ := r.answers.Read(b) // it is buffered
	return plain.Text(string(b[:n]), maxShown), nil
}

// leave tells the server that the listener leaves, and names the node that fed it, as the program of 2016
// does.
func (r *Radio) leave() {
	r.asking.Lock()
	defer r.asking.Unlock()
	host, port, err := net.SplitHostPort(r.Upstream())
	if err != nil {
		return
	}
	n, _ := strconv.Atoi(port)
	r.mu.Lock()
	r.going = true
	r.mu.Unlock()
	defer r.once.Do(func() { close(r.left) })
	_ = r.send(fmt.Sprintf("%sHOST,%s,PORT,%d", sayLeave, host, n+1))
}
