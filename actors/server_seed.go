package actors

import (
	"context"
	"fmt"

	"conga/actors/chainmanager"
	"conga/messages"
)

// For transport/seed's Porter.

// SeedFeeder returns the node that would feed a client of 2016 that joins now.
func (s *Server) SeedFeeder(ctx context.Context) (*messages.Node, error) {
	reply := make(chan *messages.Node, 1)
	s.tell(chainmanager.Actor, &messages.FindFeeder{Reply: reply})
	select {
	case node := <-reply:
		return node, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("find who feeds a newcomer: %w", ctx.Err())
	}
}

// SeedCutOff tells the chain that the server no longer feeds such a client.
func (s *Server) SeedCutOff(id, reason string) {
	s.tell(chainmanager.Actor, &messages.ReportSilent{
		Id: id, SeenBy: messages.ServerID, Reason: reason, AtUnixUs: s.cfg.Now().UnixMicro(),
	})
}

// TellRequests sends the request port a message.
func (s *Server) TellRequests(message any) { s.tell(requestsName, message) }

// SeedsBefore returns the clients of 2016 that had a place and music when the server last stopped. Listeners
// may still play to them; they come to the server when these leave.
func (s *Server) SeedsBefore() []*messages.Node { return s.seeds }
