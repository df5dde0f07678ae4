package transport

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// ticketHouse is a port at which nodes offer their music; the tickets are for the test to decide on.
func ticketHouse(t *testing.T) (house streamHouse, tickets *Tickets, offers func() net.Conn, issued <-chan uint64) {
	t.Helper()
	l, told := newPipes(), make(chan uint64, 2*maxTickets)
	tickets = &Tickets{}
	house = openStreams(t, l, func(s *StreamsConfig) {
		s.Tickets, s.Offered = tickets, func(_ *messages.Node, ticket uint64) { told <- ticket }
	})
	offers = func() net.Conn {
		conn := l.dial(t)
		offer := &messages.OfferStream{Version: messages.DialectVersion}
		amy.signOffer(offer, messages.ServerID, time.Now().UnixMicro())
		send(t, conn, mustFrame(t, messages.KindOffer, offer))
		return conn
	}
	return house, tickets, offers, told
}

// Whoever decides about an offer may refuse it, or die before it has decided: the connection ends.
func TestTickets_NotRedeemed(t *testing.T) {
	for name, decide := range map[string]func(house streamHouse, tickets *Tickets, ticket uint64) (takes time.Duration){
		"refused": func(_ streamHouse, tickets *Tickets, ticket uint64) time.Duration {
			tickets.Refuse(ticket)
			return 0
		},
		"never decided": func(streamHouse, *Tickets, uint64) time.Duration { return ticketTime },
		"the port ends": func(house streamHouse, _ *Tickets, _ uint64) time.Duration {
			house.system.Root.Stop(house.pid)
			return 0
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				house, tickets, offers, issued := ticketHouse(t)
				conn := offers()
				ticket := <-issued
				began := time.Now()
				takes := decide(house, tickets, ticket)
				ends(t, conn)
				if took := time.Since(began); took != takes {
					t.Errorf("it ended after %v, want %v", took, takes)
				}
				synctest.Wait()
				if _, err := tickets.Redeem(ticket)(t.Context(), ""); !errors.Is(err, errTicket) || len(tickets.out) > 0 {
					t.Errorf("redeemed afterwards: %v, %d are out", err, len(tickets.out))
				}
			})
		})
	}
}

// Whoever has redeemed a ticket owns the connection, once, and also when the port ends.
func TestTickets_Redeemed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		house, tickets, offers, issued := ticketHouse(t)
		there := offers()
		ticket := <-issued
		here, err := tickets.Redeem(ticket)(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer here.Close()
		if _, err := tickets.Redeem(ticket)(t.Context(), ""); !errors.Is(err, errTicket) {
			t.Errorf("redeemed twice: %v", err)
		}
		tickets.Refuse(ticket)
		synctest.Wait()
		house.system.Root.Stop(house.pid)
		synctest.Wait()
		go func() { _, _ = here.Write([]byte("music")) }()
		heard := make([]byte, 5)
		if _, err := there.Read(heard); err != nil || string(heard) != "music" {
			t.Errorf("heard %q, %v", heard, err)
		}
	})
}

// Of offers that nobody decides on, few wait.
func TestTickets_Bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, tickets, offers, issued := ticketHouse(t)
		for range maxTickets {
			offers()
			<-issued
		}
		began := time.Now()
		ends(t, offers())
		if time.Since(began) != 0 || len(issued) > 0 {
			t.Errorf("one too many: it ended after %v, %d more were issued", time.Since(began), len(issued))
		}
		time.Sleep(ticketTime)
		synctest.Wait()
		if len(tickets.out) > 0 {
			t.Errorf("%d are out", len(tickets.out))
		}
		offers()
		<-issued
	})
}
