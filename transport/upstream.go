package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/messages/plain"
)

const (
	// upstreamCredits is how many items may wait in the relay's mailbox.
	upstreamCredits = 64
	// sealsPerItem is how many seals may come without an item, because seals use no credit.
	sealsPerItem = 4
	// atOnce is how many items are reported together, if so many have come: more would keep the next node waiting.
	atOnce = 16
	// upstreamBuffer has room for the largest chunk, 110 ms of 320 kbit/s, with its seal. Each listener has one.
	upstreamBuffer = 6 << 10
)

// UpstreamConfig says whom to receive from. It is for one connection: its Link is never
// used again.
type UpstreamConfig struct {
	Link uint64
	Addr string               // host:port to dial
	Open *messages.OpenStream // our HI

	Identity *Identity            // signs the HI; nil: it is not signed
	Now      func() int64         // the server's clock, in unix microseconds; nil: this machine's
	Pass     func() (Pass, error) // the pass to prove; nil: none
	Dial     DialFunc             // nil: DialNode
	Silence  func() time.Duration // how long the upstream may say nothing; nil: messages.SilenceIsDeath
	// Report takes what there is to tell, in the connection's goroutine, in place of the parent. It returns how many
	// items are done with: then it has not kept their messages, and they need no Credit. Nil: the parent gets messages.
	Report func(what any) (done int)
}

// Upstream is one connection to a node above, a child of the relay. It tells Report or its parent
// UpstreamOpened, then UpstreamItem, UpstreamSeal and UpstreamLeaving as they come (Report gets the first two as
// UpstreamAtOnce), and in any case, once and last, UpstreamClosed. Then it stops; if a goroutine panicked, it fails, and its parent
// should stop it. It never reconnects.
//
// At most 64 items are on their way to the parent (credit-based flow control): it sends
// a *messages.Credit back for each one that it has handled and that was not done at once.
func Upstream(cfg UpstreamConfig) *actor.Props {
	if cfg.Dial == nil {
		cfg.Dial = DialNode
	}
	if cfg.Pass == nil {
		cfg.Pass = openHouse
	}
	if cfg.Now == nil {
		cfg.Now = func() int64 { return time.Now().UnixMicro() }
	}
	if cfg.Silence == nil {
		cfg.Silence = func() time.Duration { return messages.SilenceIsDeath }
	}
	return actor.PropsFromProducer(func() actor.Actor { return &upstream{cfg: &cfg} })
}

type upstream struct {
	cfg     *UpstreamConfig
	credits chan struct{}
	stop    context.CancelFunc
}

// Receive is all the plumbing; upstreamTalk reads.
func (u *upstream) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Started:
		root, self := ctx.ActorSystem().Root, ctx.Self()
		u.credits = make(chan struct{}, upstreamCredits)
		for range upstreamCredits {
			u.credits <- struct{}{}
		}
		life, stop := context.WithCancel(context.Background())
		u.stop = stop
		talk := &upstreamTalk{cfg: u.cfg, report: u.cfg.Report, credits: u.credits}
		if parent := ctx.Parent(); talk.report == nil {
			talk.report = func(what any) int { each(what, func(m any) { root.Send(parent, m) }); return 0 }
		}
		guard(root, self, func() {
			err := talk.run(life)
			talk.report(&messages.UpstreamClosed{Link: u.cfg.Link, Reason: reasonOf(err), Fault: faultOf(err)})
			retire(life, root, self)
		})
	case *messages.Credit:
		giveBack(u.credits)
	case *actor.Stopping, *actor.Restarting:
		u.stop()
	case *crashed:
		ctx.Send(ctx.Parent(), &messages.UpstreamClosed{Link: u.cfg.Link, Reason: reasonOf(msg.reason)})
		panic(msg.reason)
	}
}

// each tells what came at once one by one.
func each(what any, tell func(any)) {
	all, is := what.(*messages.UpstreamAtOnce)
	if !is {
		all = &messages.UpstreamAtOnce{what}
	}
	for _, m := range *all {
		tell(m)
	}
}

// giveBack adds a credit, unless all are there.
func giveBack(credits chan<- struct{}) {
	select {
	case credits <- struct{}{}:
	default:
	}
}

// upstreamTalk is the conversation with one upstream. It belongs to one goroutine.
type upstreamTalk struct {
	cfg     *UpstreamConfig
	report  func(what any) (done int)
	credits chan struct{}

	came  messages.UpstreamAtOnce // not reported yet
	items int                     // in came
	words *[atOnce]messages.UpstreamItem
}

var (
	errUpstreamGone = errors.New("the upstream closed the connection")
	errSilent       = errors.New("silent")
)

// faultOf returns what the end of the connection says about the upstream. A refusal is no fault of its,
// nor is anything that this node lacks.
func faultOf(err error) messages.Fault {
	no := (*refused)(nil)
	switch {
	case errors.As(err, &no), errors.Is(err, errNotYet), errors.Is(err, errTicket), errors.Is(err, context.Canceled):
		return messages.Fault_FAULT_UNSPECIFIED
	case errors.Is(err, errSilent):
		return messages.Fault_FAULT_SILENT
	}
	return messages.Fault_FAULT_GONE
}

// run connects, says HI and reads until the end. The error says why; it is never nil.
func (t *upstreamTalk) run(life context.Context) error {
	conn, err := t.cfg.Dial(life, t.cfg.Addr)
	if err != nil {
		return fmt.Errorf("dial %s: %w", t.cfg.Addr, err)
	}
	conn = stayAwake(conn) // before another goroutine may close it
	defer conn.Close()
	defer context.AfterFunc(life, func() { _ = conn.Close() })() // wakes every read and write

	err = t.talk(life, conn)
	switch {
	case life.Err() != nil:
		return life.Err()
	case timedOut(err):
		return fmt.Errorf("%w for %v", errSilent, t.cfg.Silence())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errUpstreamGone
	}
	return err
}

func (t *upstreamTalk) talk(life context.Context, conn net.Conn) error {
	pass, err := t.cfg.Pass()
	if err != nil {
		return err
	}
	open := proto.CloneOf(t.cfg.Open)
	if t.cfg.Identity != nil {
		t.cfg.Identity.SignOpen(open, t.cfg.Now())
	}
	open.Proof = pass.prove(askingOf(open))
	hi, err := messageFrame(messages.KindHi, open)
	if err != nil {
		return err
	}
	_ = conn.SetWriteDeadline(time.Now().Add(t.cfg.Silence()))
	if _, err := conn.Write(hi); err != nil {
		return err
	}
	r := newWide(conn, upstreamBuffer)
	defer r.narrow()
	frame, err := t.read(conn, r)
	if err != nil {
		return err
	}
	answer := &messages.StreamOpened{}
	if frame.Kind != messages.KindHi {
		return fmt.Errorf("%s before %s: %w", frame.Kind, messages.KindHi, ErrFrame)
	}
	if err := proto.Unmarshal(frame.Payload, answer); err != nil {
		return fmt.Errorf("%s: %w", messages.KindHi, ErrFrame)
	}
	makePlain(answer.ProtoReflect())
	if answer.GetRefused() != "" || answer.GetRefusal() != messages.StreamOpened_REFUSAL_NONE {
		return &refused{answer.GetRefusal(), "refused: " + plain.Text(answer.GetRefused(), maxReason)}
	}
	t.report(&messages.UpstreamOpened{Link: t.cfg.Link, Answer: answer})
	return t.listen(life, conn, r)
}

// read waits for one whole frame, no longer than the upstream may be silent: an upstream
// whose bytes only trickle counts as dead, too.
func (t *upstreamTalk) read(conn net.Conn, r *wide) (Frame, error) {
	r.fit()
	if !whole(r) {
		_ = conn.SetReadDeadline(time.Now().Add(t.cfg.Silence()))
	}
	return ReadFrame(r.Reader)
}

// whole reports whether the next frame has come, so that no read waits for it.
func whole(r *wide) bool {
	if r.Buffered() < headerSize {
		return false
	}
	header, _ := r.Peek(headerSize)
	_, n, err := parseHeader(header)
	return err == nil && r.Buffered() >= headerSize+n
}

// listen passes on what comes after HI.
func (t *upstreamTalk) listen(life context.Context, conn net.Conn, r *wide) error {
	defer t.tell()
	t.words = new([atOnce]messages.UpstreamItem)
	seals, leaving, sent := 0, false, int64(0)
	for {
		frame, err := t.read(conn, r)
		if err != nil {
			return err
		}
		switch frame.Kind {
		case messages.KindSongChange, messages.KindChunk:
			item, err := messages.ParseItem(frame.Kind, frame.Payload)
			if err != nil {
				return err
			}
			if err := t.credit(life); err != nil {
				return err
			}
			seals = 0
			word := &t.words[t.items]
			*word = messages.UpstreamItem{Link: t.cfg.Link, Item: item, SentUs: sent}
			t.came, t.items, sent = append(t.came, word), t.items+1, 0
		case messages.KindSeal:
			seal := &messages.Seal{}
			if err := proto.Unmarshal(frame.Payload, seal); err != nil {
				return fmt.Errorf("%s: %w", frame.Kind, ErrFrame)
			}
			if seals++; seals > sealsPerItem {
				return fmt.Errorf("%d seals and no item: %w", seals, ErrFrame)
			}
			t.came = append(t.came, &messages.UpstreamSeal{Link: t.cfg.Link, Seal: seal})
		case messages.KindLeaving:
			if !leaving {
				leaving = true
				t.tell()
				t.report(&messages.UpstreamLeaving{Link: t.cfg.Link})
			}
		case messages.KindHi:
			return fmt.Errorf("%s twice: %w", frame.Kind, ErrFrame)
		case messages.KindHeartbeat:
			sent = messages.ParseTime(frame.Payload)
		default: // a kind of a later dialect counts as a sign of life
		}
		if t.items == atOnce || !whole(r) {
			t.tell()
		}
	}
}

// credit takes a credit for an item. While it waits, what came before is on its way; the wait does not count as the
// upstream's silence.
func (t *upstreamTalk) credit(life context.Context) error {
	select {
	case <-t.credits:
		return nil
	default:
	}
	t.tell()
	select {
	case <-t.credits:
		return nil
	case <-life.Done():
		return life.Err()
	}
}

// tell reports what has come.
func (t *upstreamTalk) tell() {
	if len(t.came) == 0 {
		return
	}
	done := t.report(&t.came)
	for range done {
		giveBack(t.credits)
	}
	if done < t.items { // somebody has kept them
		t.words = new([atOnce]messages.UpstreamItem)
	}
	clear(t.came)
	t.came, t.items = t.came[:0], 0
}
