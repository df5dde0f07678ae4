package transport

import (
	"errors"
	"fmt"
	"time"

	"conga/messages"
)

// hello makes the peer a native. Its id is bound to this connection BEFORE the chain
// is told of it, so that news of its neighbours reaches it.
func (t *requestTalk) hello(hello *messages.Hello) error {
	node, err := t.candidate(hello)
	if err != nil {
		return t.turnAway(RefusedIdentity, err.Error())
	}
	if t.cfg.Disk.Short() {
		return t.turnAwayFor(RefusedDisk, waitForRoom, errRoom.Error())
	}
	if !t.pace.hellos.of(t.from()).Allow() {
		return t.turnAwayFor(RefusedPace, time.Minute, "too many listeners join and leave from your address: try again in a minute")
	}
	unreachable := ""
	if node.GetRelay() != "" {
		var err error
		if node.Relay, err = t.locate(node.GetRelay()); errors.Is(err, errRelay) {
			return t.turnAway(RefusedIdentity, err.Error())
		} else if err != nil {
			unreachable = err.Error()
		}
	}
	node.Http = ownHTTP(hello.GetNode().GetHttp(), t.conn.RemoteAddr())
	was, err := t.bind(node.GetId(), hello.GetInstance())
	switch {
	case err != nil:
		return err
	case was.claimed == keepAway:
		return t.turnAway(RefusedCopy, fmt.Sprintf(sayCopy, was.by))
	case was.full:
		return t.turnAway(RefusedFull, fmt.Sprintf("the server is full, it takes no more than --max-listeners %d: try again later", t.cfg.Limits.Listeners))
	}
	if !t.guest.admit() {
		return t.dismissed()
	}
	return t.enter(hello, node, unreachable, was.replaced)
}

// enter asks the chain for a place. returns is true if the listener has one already, from an older
// connection; it keeps that if it is refused.
func (t *requestTalk) enter(hello *messages.Hello, node *messages.Node, unreachable string, returns bool) error {
	// A listener without a relay address can feed nobody, whatever it says: nobody could reach it.
	leaf := hello.GetLeaf() || node.GetRelay() == ""
	join := &messages.JoinChain{
		Node: node, Leaf: leaf, AtUnixUs: t.cfg.Now().UnixMicro(), Unreachable: unreachable,
		Address: address(t.from()).String(), Feed: min(hello.GetFeed(), messages.MaxFeed),
	}
	if t.standIn != nil {
		join.Seed, join.FedBy = true, t.standIn.FedBy
	} else if unreachable == "" {
		join.Unreachable = t.probe(node, hello.GetNode().GetKey())
	}
	answer, err := ask(t.life, t.root, t.parent, &enter{t.self, join})
	if err != nil {
		return errors.Join(t.turnAway(RefusedBusy, "the server is busy, try again"), err)
	}
	switch answer := answer.(type) {
	case *messages.Welcome:
		answer.Servers = t.cfg.Servers
		answer.Anew = hello.GetSongNumber() > 0 && !t.cfg.Follows(hello.GetSongNumber(), hello.GetSongPlayAtUnixUs())
		t.node, t.reached = node, node
		if join.GetUnreachable() != "" {
			t.reached = &messages.Node{Id: node.GetId(), Name: node.GetName()}
		}
		t.certify(hello.GetPlaysAs())
		return t.welcome(answer)
	case *messages.Refused:
		if !returns {
			t.end.Store(&end{ends: notIn})
		}
		return t.turnAway(RefusedPace, answer.GetReason())
	}
	return fmt.Errorf("join: %T", answer)
}

// welcome tells the native that it is in.
func (t *requestTalk) welcome(answer *messages.Welcome) error {
	if err := t.put(t.cfg.Auth.complete(answer, t.session)); err != nil {
		return err
	}
	t.root.Send(t.self, &welcomed{})
	return nil
}

// sayCopy tells the second of two processes with one key what to do.
const sayCopy = "another listener with this identity is in the chain, from %s: if its data folder was copied, remove listener.pem from the copy, or use another --data"

// bind binds the id to this connection. It asks again until the claim is decided.
func (t *requestTalk) bind(id, instance string) (*bound, error) {
	msg := &bind{
		conn: t.self, id: id, instance: instance, from: hostOf(t.from()), heard: &t.heard, guest: t.guest, since: time.Now(),
	}
	again := time.NewTicker(claimLook)
	defer again.Stop()
	for {
		answer, err := ask(t.life, t.root, t.parent, msg)
		if err != nil {
			return nil, err
		}
		was, is := answer.(*bound)
		switch {
		case !is:
			return nil, fmt.Errorf("bind %s: %T", id, answer)
		case was.full || was.claimed != waitOn:
			return was, nil
		}
		select {
		case <-again.C:
			msg.looked += claimLook
		case <-t.life.Done():
			return nil, t.life.Err()
		}
	}
}

// candidate checks the HELLO and returns the node as the chain may take it.
func (t *requestTalk) candidate(hello *messages.Hello) (*messages.Node, error) {
	if t.node != nil {
		return nil, errors.New("HELLO was said before")
	}
	if hello.GetVersion() > messages.DialectVersion {
		return nil, fmt.Errorf("this server speaks version %d of the dialect, not %d: use the same version of conga on both sides",
			messages.DialectVersion, hello.GetVersion())
	}
	node := cleanNode(hello.GetNode())
	if node == nil {
		return nil, errID
	}
	if err := t.identified(hello); err != nil {
		return nil, err
	}
	if hello.GetLeaf() {
		node.Relay = ""
	}
	return node, nil
}

// identified returns an error unless the owner of the id has signed the HELLO.
func (t *requestTalk) identified(hello *messages.Hello) error {
	switch {
	case t.standIn != nil:
		return nil
	case t.session == nil:
		return errClear
	}
	if !signed(ownKey(hello.GetNode()), hello.GetSignature(), useHello, t.session.identity) {
		return errForged
	}
	return nil
}

func (t *requestTalk) turnAway(why Refusal, reason string) error {
	return t.turnAwayFor(why, 0, reason)
}

// turnAwayFor also says how long to wait before asking again.
func (t *requestTalk) turnAwayFor(why Refusal, wait time.Duration, reason string) error {
	t.cfg.Counters.Refuse(why)
	if err := t.put(&messages.Refused{Reason: reason, WaitSeconds: uint32(wait.Seconds())}); err != nil {
		return err
	}
	return errDone
}
