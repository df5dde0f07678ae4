package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// badDisk does not what it should.
type badDisk struct{ full, short, unsure atomic.Bool }

func (d *badDisk) Full() bool { return d.full.Load() }

func (d *badDisk) Short() bool { return d.short.Load() }

func (d *badDisk) Settled(context.Context) bool { return !d.unsure.Load() }

// While the disk is full, or takes nothing, no song is promised. Listeners come, report and go as always,
// until so much waits for the disk that the rest is for goodbyes and losses.
func TestRequests_Disk(t *testing.T) {
	l := listen(t)
	disk := &badDisk{}
	house := openRequests(t, l, func(c *RequestsConfig) { c.Disk = disk })
	amysLink, r := join(t, house, dial(t, l), amy)
	asked := func(want string, line string) {
		t.Helper()
		sayLine(t, amysLink, &messages.Ask{RequestId: "r", Line: line})
		if a := readLine[*messages.Answer](t, r); !slices.Equal(a.GetLines(), []string{want}) {
			t.Errorf("%s: %v, want %s", line, a.GetLines(), want)
		}
	}
	asked(fmt.Sprintf(sayQueued, "bach.mp3"), "PLAY 1")
	disk.unsure.Store(true)
	asked(fmt.Sprintf(sayQueued, "beethoven.mp3")+sayUnsure, "PLAY 2")
	disk.full.Store(true)
	asked(sentence(errDisk), "PLAY 1")
	bobsLink, _ := join(t, house, dial(t, l), bob)
	sayLine(t, amysLink, &messages.Reconnected{})
	if said := await[*messages.Reconnected](t, house.chain); said.GetId() != amyID {
		t.Errorf("said %v", said)
	}
	disk.short.Store(true)
	late := secure(t, dial(t, l), cem)
	sayLine(t, late, late.Introduce(&messages.Hello{Node: &messages.Node{}}))
	if refused := readLine[*messages.Refused](t, bufio.NewReader(late)); refused.GetReason() != errRoom.Error() {
		t.Errorf("refused: %v", refused)
	}
	sayLine(t, amysLink, &messages.Reconnected{})
	sayLine(t, amysLink, &messages.PeerLost{Id: bobID})
	sayLine(t, amysLink, &messages.LeaveChain{})
	if left := await[*messages.LeaveChain](t, house.chain); left.GetId() != amyID {
		t.Errorf("%v has left", left)
	}
	_ = bobsLink.Close()
	if lost := await[*messages.PeerLost](t, house.chain); lost.GetId() != bobID || lost.GetSeenBy() != messages.ServerID {
		t.Errorf("lost %v", lost)
	}
}

// Six addresses fill the port with connections that said HELP and stay. They take the places
// of each other, and nobody else's: listeners join, other people are answered. After some
// minutes of silence they are told goodbye.
func TestRequests_StrangersFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const addresses, each, most = 6, 60, 100
		l := newPipes()
		house := openRequests(t, l, func(c *RequestsConfig) { c.Limits = Limits{Visitors: most} })
		help := strings.Join(helpLines, "\n") + "\n\n"
		type end struct {
			said string
			at   time.Time
		}
		ended := make(chan end, addresses*each)
		for i := range addresses * each {
			conn := l.dialFrom(t, fmt.Sprintf("198.51.100.%d:%d", i%addresses, i+1))
			send(t, conn, []byte("HELP\n"))
			if _, err := io.ReadFull(conn, make([]byte, len(help))); err != nil {
				t.Fatal(err)
			}
			go func() {
				said, _ := io.ReadAll(conn)
				ended <- end{string(said), time.Now()}
			}()
		}
		synctest.Wait()
		begun := time.Now()
		for range addresses*each - most {
			if e := <-ended; e.said != sentence(errPlace)+"\n" {
				t.Fatalf("one that lost its place was told %q", e.said)
			}
		}
		if waited := time.Since(begun); waited > 0 {
			t.Errorf("the last of them went after %v", waited)
		}
		join(t, house, l.dialFrom(t, "127.0.0.1:9"), amy)
		conn := l.dialFrom(t, "192.0.2.2:1")
		send(t, conn, []byte("REQUESTS\n"))
		if line, err := readReply(bufio.NewReader(conn)); line != sayNoWishes {
			t.Fatalf("a person read %q, %v", line, err)
		}
		<-ended // whose place the person has
		for range most - 1 {
			e := <-ended
			if e.said != "You have said nothing for 5 minutes. Goodbye.\n" || e.at.Sub(begun) > visitorPatience {
				t.Fatalf("after %v one was told %q", e.at.Sub(begun), e.said)
			}
		}
	})
}

// When there are as many listeners as there may be, an address that has many of the places
// gives one up to an address that has none: it is told why, and is lost.
func TestRequests_Crowded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		house := openRequests(t, l, func(c *RequestsConfig) { c.Limits = Limits{Listeners: 2} })
		var last *bufio.Reader
		for _, who := range []*Identity{amy, bob} {
			_, last = join(t, house, l.dialFrom(t, "127.0.0.1:1"), who)
		}
		third := secure(t, l.dialFrom(t, "192.0.2.1:1"), cem)
		sayLine(t, third, third.Introduce(&messages.Hello{Leaf: true}))
		readLine[*messages.Welcome](t, bufio.NewReader(third))
		if refused := readLine[*messages.Refused](t, last); refused.GetReason() != errPlace.Error() {
			t.Errorf("refused: %v", refused)
		}
		var lost *messages.PeerLost
		for range 2 {
			if m, is := (<-house.chain).(*messages.PeerLost); is {
				lost = m
			}
		}
		if lost.GetId() != bobID || lost.GetReason() != errPlace.Error() {
			t.Errorf("lost %v", lost)
		}
	})
}
