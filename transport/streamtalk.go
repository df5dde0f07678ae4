package transport

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// goodbyePatience is how long a listener may take to go elsewhere after DC.
const goodbyePatience = time.Second

// firstPatience is how long the answer to HI waits to know the first item's number.
const firstPatience = 5 * time.Millisecond

var (
	errLeaving    = &refused{messages.StreamOpened_REFUSAL_LEAVING, "this node leaves"}
	errID         = &refused{messages.StreamOpened_REFUSAL_STRANGER, "the node's id must be a uuid"}
	errUnexpected = &refused{messages.StreamOpened_REFUSAL_STRANGER, "the chain does not send you here: join at the server"}
	errStay       = &refused{messages.StreamOpened_REFUSAL_FULL, "as many as can be helped here have come: stay with the node that feeds you"}
	errCrowd      = &refused{messages.StreamOpened_REFUSAL_FULL, "your address has too many connections to this node"}
	errDropped    = &refused{messages.StreamOpened_REFUSAL_FULL, "too many connections from your address have not said who they are"}
	errSeat       = errors.New("another stream took its seat: a newer one of the same listener, or one that the chain sends here")
	errFull       = errors.New("the uplink is full, and another node can feed it")
)

// streamTalk is the conversation on one accepted stream connection. It belongs to the
// goroutine in serve.
type streamTalk struct {
	cfg       *StreamsConfig
	admission *admission
	conn      net.Conn
	guest     *guest
	root      *actor.RootContext
	self      *actor.PID
	life      context.Context // ends with the actor
	playing   context.Context // ends with life, or earlier with errLeaving

	seat    *seat                 // the listener's
	record  *record               // the listener's
	buf     []byte                // frames
	sent    int                   // so many bytes of buf are sent
	large   *[enough + usual]byte // what buf lies in while the listener catches up
	small   []byte                // what it lies in otherwise, meanwhile
	flow    outflow
	seal    *messages.Seal
	song    *messages.SongChange // the one that the listener knows
	stamped time.Time            // when the listener was last told the time

	continues uint64 // the item with which the listener goes on; it knows its song

	socket  *socket        // nil: this connection can only be written to by its own goroutine
	quiet   *time.Timer    // fires when nothing was sent for a heartbeat
	partial *messages.Item // is in buf, and not sent to its end
}

// serve talks to one listener until either side ends the connection. If it returns true, the connection
// was an offer and belongs to whoever took it.
func (t *streamTalk) serve() (given bool) {
	defer t.guest.leave()
	if tcp, ok := t.guest.conn.Conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(streamBuffer)
	}
	r := bufio.NewReader(t.conn)
	first, err := t.readFirst(r)
	if errors.Is(err, errSeed) {
		if t.silent(r) {
			return false
		}
		first, err = t.readNative(r)
	}
	switch {
	case errors.Is(err, errWeb):
		t.web(&begun{Conn: t.conn, r: r})
		return false
	case errors.Is(err, errTLS):
		t.secured(&begun{Conn: t.conn, r: r})
		return false
	case err != nil:
		return false // it never said who it is, so there is nothing to answer or report
	}
	switch first := first.(type) {
	case *messages.OfferStream:
		return t.handOver(r, first)
	case *messages.AskIdentity:
		t.identify(first)
	case *messages.OpenStream:
		t.open(r, first)
	}
	return false
}

// silent handles a peer that waits for this node to speak. It returns false if the peer speaks after all: a
// native's first frame may be late.
func (t *streamTalk) silent(r *bufio.Reader) bool {
	_ = t.conn.SetReadDeadline(time.Time{})
	if pass, err := t.cfg.Pass(); err != nil || len(pass) > 0 {
		return true // the program of 2016 has no way to send a token
	}
	spoken := t.cfg.Seed(t.life, &Stranger{
		Conn: t.conn, Reader: r, Since: t.guest.since, Leaving: t.playing.Done(), Admit: func() bool { return t.guest.move(seeds) },
		Tell: func(m any) { t.root.Send(t.cfg.Owner, m) },
	})
	return spoken || r.Buffered() == 0
}

// open feeds the listener that said HI, or refuses it.
func (t *streamTalk) open(r *bufio.Reader, open *messages.OpenStream) {
	node := cleanNode(open.GetNode())
	switch {
	case node == nil:
		t.refuse(errID)
		return
	case t.playing.Err() != nil:
		t.refuse(errLeaving)
		return
	}
	playing, over := context.WithCancelCause(t.playing)
	defer over(nil)
	conn := t.conn
	t.flow.waiting = waitingOf(conn)
	seat, record, err := t.admission.let(t.life, open, t.guest, &t.flow, func(why error) {
		over(why)
		_ = conn.Close() // wakes every read and write
	})
	if err != nil {
		t.refuse(err)
		return
	}
	defer t.admission.leave(seat)
	if !t.guest.admit() { // its lobby has closed it meanwhile
		t.refuse(errDropped)
		return
	}
	t.playing, t.seat, t.record, open.Node = playing, seat, record, node
	cursor, err := t.cfg.Open(open)
	if err != nil {
		t.refuse(err)
		return
	}
	defer cursor.Close()

	t.root.Send(t.cfg.Owner, &messages.DownstreamOpened{Node: node})
	reason := "broke down"
	defer func() { // after a panic of the cursor, too
		t.root.Send(t.cfg.Owner, &messages.DownstreamClosed{Node: node, Reason: reason})
	}()
	reason = reasonOf(t.feed(r, open, cursor))
	if cause := context.Cause(playing); errors.Is(cause, errSeat) || errors.Is(cause, errFull) {
		reason = cause.Error()
	}
}

// identify proves whose port this is.
func (t *streamTalk) identify(ask *messages.AskIdentity) {
	if t.cfg.Identity == nil {
		return
	}
	payload, err := proto.Marshal(proveIdentity(t.cfg.Identity, ask))
	if err == nil {
		err = t.write(Frame{Kind: messages.KindIdentity, Payload: payload})
	}
	if err == nil {
		linger(t.conn)
	}
}

// handOver gives the connection to whoever redeems its ticket. r must not have read more than the offer.
func (t *streamTalk) handOver(r *bufio.Reader, offer *messages.OfferStream) (given bool) {
	node := cleanNode(offer.GetNode())
	if node == nil || r.Buffered() > 0 || t.cfg.Offered == nil || t.admission.offer(offer) != nil {
		return false
	}
	ticket := t.cfg.Tickets.issue(t.conn)
	if ticket == nil {
		return false
	}
	t.cfg.Offered(node, ticket.number)
	return t.cfg.Tickets.collect(t.life, ticket)
}

// errSeed: the peer has said nothing within SeedGrace.
var errSeed = errors.New("the peer waits for this node to speak")

// readFirst waits for a listener's HI, the offer of a node above, or the server's question
// whose port this is. It may come byte by byte, but must come within helloPatience.
func (t *streamTalk) readFirst(r *bufio.Reader) (proto.Message, error) {
	if t.cfg.Seed != nil {
		_ = t.conn.SetReadDeadline(time.Now().Add(SeedGrace))
		if _, err := r.Peek(1); timedOut(err) {
			return nil, errSeed
		}
	}
	return t.readNative(r)
}

// errWeb: the peer speaks HTTP. errTLS: it speaks TLS, as only players do at this port.
var errWeb, errTLS = errors.New("the peer speaks HTTP"), errors.New("the peer speaks TLS")

// web answers a peer that speaks HTTP, until either side ends the connection.
func (t *streamTalk) web(conn net.Conn) {
	_ = t.conn.SetReadDeadline(time.Time{})
	if t.guest.move(webs) {
		over := context.AfterFunc(t.playing, func() { _ = t.conn.Close() }) // there is no way to tell a player that this node leaves
		defer over()
		serveWeb(conn, t.invited(t.cfg.Web), func(ctx context.Context) context.Context { return ctx })
	}
}

// invited lets in those whom the server has sent here, if the broadcast is for members only. A player does not know the
// token; that it has shown its own pass, the server says by another.
func (t *streamTalk) invited(inside http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pass, err := t.cfg.Pass()
		now := time.UnixMicro(t.cfg.ServerNow())
		switch {
		case err != nil:
			http.Error(w, "This node is not in the chain yet: try again.", http.StatusServiceUnavailable)
		case !pass.opens(t.cfg.Self().GetId(), r.URL.Query().Get("pass"), now):
			http.Error(w, "This radio asks for a token. Use the link for players at the foot of its page: it leads here, and lets you in.",
				http.StatusForbidden)
		default:
			inside.ServeHTTP(w, r)
		}
	})
}

// asksWeb reports whether the first bytes begin an HTTP request. No frame begins so: it has two letters and
// then a digit.
func asksWeb(first []byte) bool {
	return bytes.Equal(first, []byte("GET /")) || bytes.Equal(first, []byte("HEAD "))
}

// readNative is readFirst for a peer that is no client of 2016.
func (t *streamTalk) readNative(r *bufio.Reader) (proto.Message, error) {
	_ = t.conn.SetReadDeadline(time.Now().Add(helloPatience))
	if t.cfg.TLS != nil {
		if first, err := r.Peek(1); err == nil && first[0] == handshakeRecord {
			return nil, errTLS
		}
	}
	if t.cfg.Web != nil {
		if first, err := r.Peek(len("GET /")); err == nil && asksWeb(first) {
			return nil, errWeb
		}
	}
	frame, err := ReadFrame(r)
	if err != nil {
		return nil, err
	}
	var first proto.Message
	switch frame.Kind {
	case messages.KindHi:
		first = &messages.OpenStream{}
	case messages.KindOffer:
		first = &messages.OfferStream{}
	case messages.KindIdentity:
		first = &messages.AskIdentity{}
	default:
		return nil, fmt.Errorf("%s before %s: %w", frame.Kind, messages.KindHi, ErrFrame)
	}
	if err := proto.Unmarshal(frame.Payload, first); err != nil {
		return nil, fmt.Errorf("%s: %w", frame.Kind, ErrFrame)
	}
	_ = t.conn.SetReadDeadline(time.Time{})
	return first, nil
}

func (t *streamTalk) refuse(reason error) {
	answer := refusing(reason)
	t.cfg.Counters.Refuse(refusedAs(answer.GetRefusal()))
	_ = t.answer(answer)
}

// refusing returns the answer to a HI that is refused for the reason.
func refusing(reason error) *messages.StreamOpened {
	answer := &messages.StreamOpened{Refused: reason.Error(), Refusal: messages.StreamOpened_REFUSAL_OTHER}
	if no := (*refused)(nil); errors.As(reason, &no) {
		answer.Refusal = no.refusal()
	}
	return answer
}

func (t *streamTalk) answer(answer *messages.StreamOpened) error {
	frame, err := hiOfNode(t.cfg, answer)
	if err != nil {
		return err
	}
	return t.write(frame)
}

// hiOfNode returns the frame of a node's answer to HI.
func hiOfNode(cfg *StreamsConfig, answer *messages.StreamOpened) (Frame, error) {
	answer.Version = messages.DialectVersion
	answer.Node = cfg.Self()
	answer.Epoch = cfg.Epoch()
	answer.AtUnixUs = cfg.ServerNow()
	payload, err := proto.Marshal(answer)
	if err != nil {
		return Frame{}, fmt.Errorf("encode the answer to %s: %w", messages.KindHi, err)
	}
	return Frame{Kind: messages.KindHi, Payload: payload}, nil
}

// refusal returns the bytes of a refusal, for a connection without a streamTalk.
func refusal(cfg *StreamsConfig, reason error) []byte {
	frame, err := hiOfNode(cfg, refusing(reason))
	if err != nil {
		return nil
	}
	b, _ := AppendFrame(nil, frame) // on an error nothing is sent
	return b
}
