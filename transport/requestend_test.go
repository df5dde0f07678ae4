package transport

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// However a listener's connection ends, the chain hears of it once: also if our own code breaks.
func TestRequests_EndsOnce(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(t *testing.T, c, raw net.Conn)
		want proto.Message
	}{
		"a word breaks it": {func(t *testing.T, c, _ net.Conn) {
			sayLine(t, c, &messages.ClockPing{SentUs: 1})
		}, &messages.PeerLost{Id: amyID, SeenBy: messages.ServerID, Reason: "broke down", AtUnixUs: 42}},
		"a word breaks it behind a goodbye": {func(t *testing.T, c, _ net.Conn) {
			send(t, c, []byte("LEAVECHAIN {}\nCLOCKPING {}\nLEAVECHAIN {}\n"))
		}, &messages.LeaveChain{Id: amyID, AtUnixUs: 42}},
		"a goodbye and a reset": {func(t *testing.T, c, raw net.Conn) {
			send(t, c, []byte("LEAVECHAIN {}\n"))
			_ = raw.(*net.TCPConn).SetLinger(0)
			_ = raw.Close()
		}, &messages.LeaveChain{Id: amyID, AtUnixUs: 42}},
		// The answers to what it said before find nobody: its goodbye is heard all the same.
		"much that it does not wait to be answered, a goodbye and a reset": {func(t *testing.T, c, raw net.Conn) {
			send(t, c, []byte(strings.Repeat("CLOCKPING {}\nASK {}\n", linesAtOnce/4)+"LEAVECHAIN {}\n"))
			_ = raw.(*net.TCPConn).SetLinger(0)
			_ = raw.Close()
		}, &messages.LeaveChain{Id: amyID, AtUnixUs: 42}},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			var broken, asked atomic.Bool
			house := openRequests(t, l, func(c *RequestsConfig) {
				c.Now = func() time.Time {
					if broken.CompareAndSwap(true, false) {
						asked.Store(true)
						panic("the clock stands still")
					}
					return time.UnixMicro(42)
				}
			})
			raw := dial(t, l)
			conn, _ := join(t, house, raw, amy)
			broken.Store(name == "a word breaks it")
			test.end(t, conn, raw)
			if got := await[proto.Message](t, house.chain); !proto.Equal(got, test.want) {
				t.Errorf("the chain heard %v, want %v", got, test.want)
			}
			if name == "a word breaks it" != asked.Load() {
				t.Errorf("it broke: %v", asked.Load())
			}
			_, _ = io.Copy(io.Discard, conn) // until it is closed
			join(t, house, dial(t, l), amy)  // it comes back
		})
	}
}

func TestRequests_PeerLost(t *testing.T) {
	for name, end := range map[string]func(net.Conn){
		"closed": func(c net.Conn) { _ = c.Close() },
		"reset":  func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() },
		"line without an end": func(c net.Conn) {
			_, _ = c.Write(bytes.Repeat([]byte("x"), 2*messages.MaxLine))
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			house := openRequests(t, l, nil)
			conn := dial(t, l)
			join(t, house, conn, amy)
			end(conn)
			lost := await[*messages.PeerLost](t, house.chain)
			if lost.GetId() != amyID || lost.GetSeenBy() != messages.ServerID || lost.GetReason() == "" || lost.GetAtUnixUs() != 42 {
				t.Errorf("the chain heard %v", lost)
			}
		})
	}
}

// A listener that comes back before its old connection has ended was never lost.
func TestRequests_Replaced(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, nil)
	older, _ := join(t, house, dial(t, l), amy)
	newer := sameLife(t, older, dial(t, l))
	r := rejoin(t, house, newer, amy)
	ends(t, older)
	house.system.Root.Send(house.pid, &messages.Neighbours{Id: amyID, Event: 2})
	readLine[*messages.Neighbours](t, r)
	_ = newer.Close()
	await[*messages.PeerLost](t, house.chain) // once, and only now
	join(t, house, dial(t, l), bob)
}

// A chain manager that was restarted hears who is there, and who has said goodbye.
func TestRequests_Roll(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, nil)
	call := func(here, left string) {
		t.Helper()
		answer, err := ask(t.Context(), house.system.Root, house.pid, &messages.CallRoll{})
		if roll, is := answer.(*messages.Roll); !is || strings.Join(roll.Here, " ") != here || strings.Join(roll.Left, " ") != left {
			t.Errorf("there are %v, %v; want %s, and %s left", answer, err, here, left)
		}
	}
	join(t, house, dial(t, l), amy)
	conn, r := join(t, house, dial(t, l), bob)
	sayLine(t, conn, &messages.LeaveChain{})
	await[*messages.LeaveChain](t, house.chain)
	_, _ = io.Copy(io.Discard, r)
	call(amyID, bobID)
	conn, _ = join(t, house, dial(t, l), bob)
	_ = conn.Close()
	await[*messages.PeerLost](t, house.chain)
	call(amyID, "")
}

// The server's own end is nobody's loss: its listeners come back to the next one.
func TestRequests_Stop(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, nil)
	conn, _ := join(t, house, dial(t, l), amy)
	stop(t, house.system, house.pid)
	ends(t, conn)
	if len(house.chain) > 0 {
		t.Errorf("the chain heard %v", <-house.chain)
	}
}

// An acceptor that broke and is restarted has one loop and one lobby, as before: its limits are
// the same, and those who were there come back.
func TestRequests_Restarted(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, func(c *RequestsConfig) { c.Limits = Limits{PerAddress: 2} })
	conn := dial(t, l)
	join(t, house, conn, amy)
	house.system.Root.Send(house.pid, stumble{})
	ends(t, conn)
	if lost := await[*messages.PeerLost](t, house.chain); lost.GetId() != amyID {
		t.Errorf("lost %v", lost)
	}
	for _, who := range []*Identity{amy, bob} {
		join(t, house, dial(t, l), who)
	}
	for range 10 {
		conn := dial(t, l)
		send(t, conn, []byte("REQUESTS\n"))
		if got, err := io.ReadAll(conn); !strings.HasPrefix(string(got), "Your address has 2 connections") {
			t.Fatalf("read %q, %v", got, err)
		}
	}
}

// A native that does not read is cut after a while; the others hear everything meanwhile.
func TestRequests_SlowNative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		house := openRequests(t, l, nil)
		hello := func(who *Identity) (net.Conn, *bufio.Reader) {
			conn := secure(t, l.dial(t), who)
			sayLine(t, conn, conn.Introduce(&messages.Hello{Leaf: true}))
			r := bufio.NewReader(conn)
			readLine[*messages.Welcome](t, r)
			await[*messages.JoinChain](t, house.chain)
			return conn, r
		}
		_, r := hello(bob)
		slow, _ := hello(amy)
		start := time.Now()
		for i := range 4 * outboxSize {
			house.system.Root.Send(house.pid, &messages.Playing{PlayAtUnixUs: int64(i)})
			if news := readLine[*messages.Playing](t, r); news.GetPlayAtUnixUs() != int64(i) {
				t.Fatalf("news %d, want %d", news.GetPlayAtUnixUs(), i)
			}
		}
		if lost := await[*messages.PeerLost](t, house.chain); lost.GetId() != amyID || lost.GetReason() != errStuck.Error() {
			t.Errorf("lost %v", lost)
		}
		ends(t, slow)
		if took := time.Since(start); took > writePatience || house.count.Cut.Load() != 1 {
			t.Errorf("cut %d after %v", house.count.Cut.Load(), took)
		}
	})
}

func TestRequests_Silent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		openRequests(t, l, nil)
		start := time.Now()
		ends(t, &patient{l.dial(t)})
		if took := time.Since(start); took != firstLinePatience {
			t.Errorf("cut after %v, want %v", took, firstLinePatience)
		}
	})
}

// patient ignores deadlines.
type patient struct{ net.Conn }

func (*patient) SetReadDeadline(time.Time) error { return nil }

// A room that has lost the question must not take the connection with it, and its late
// answer is nobody's.
func TestRequests_NoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		openRequests(t, l, nil)
		conn := l.dial(t)
		r := bufio.NewReader(conn)
		start := time.Now()
		send(t, conn, []byte("PLAY late\n"))
		if line, err := readReply(r); err != nil || line != sayBusy || time.Since(start) != askPatience {
			t.Fatalf("read %q, %v after %v", line, err, time.Since(start))
		}
		send(t, conn, []byte("REQUESTS\n"))
		if line, err := readReply(r); err != nil || line != sayNoWishes {
			t.Fatalf("read %q, %v", line, err)
		}
	})
}
