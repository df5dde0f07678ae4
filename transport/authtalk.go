package transport

import (
	"errors"
	"time"

	"conga/messages"
)

const (
	// strangerLines is how many lines a connection may send before a right AUTH, wrong ones
	// included: enough to read the answers and find the token.
	strangerLines = 8
	sayAuthFirst  = "This server wants its token first: AUTH <token>"
	sayAuthDone   = "The token is right. " + knownWords
)

var (
	errClear   = errors.New("this server speaks TLS with its listeners: use conga join")
	errNoProof = errors.New("this server wants a token: give it in CONGA_AUTH or with --auth")
)

// authenticate handles the lines before the token is proved. Each gets one clear answer, and after
// strangerLines the connection ends. done means that the line was answered. An error ends the connection.
func (t *requestTalk) authenticate(line string) (done bool, err error) {
	if t.strange++; t.strange > strangerLines {
		t.say("Goodbye.")
		return true, errToken
	}
	word, rest := cutWord(line)
	switch word {
	case "QUIT", "END":
		return true, errDone
	case "AUTH":
		if err := t.cfg.Auth.say(t.conn.RemoteAddr(), rest); err != nil {
			t.cfg.Counters.Refuse(RefusedToken)
			t.say(sentence(err))
			if errors.Is(err, errTries) {
				return true, err
			}
			return true, nil
		}
		t.known = true
		t.say(sayAuthDone)
		return true, nil
	}
	if m, err := ParseLine(line); err == nil {
		hello, is := m.(*messages.Hello)
		if !is {
			return true, t.put(&messages.Refused{Reason: "say HELLO first"})
		}
		if err := t.proved(hello); err != nil {
			return true, t.turnAwayFor(RefusedToken, waitAfter(err), err.Error())
		}
		t.known = true
		return false, nil
	}
	t.say(sayAuthFirst)
	return true, nil
}

// proved checks a native's proof.
func (t *requestTalk) proved(hello *messages.Hello) error {
	switch {
	case t.session == nil:
		return errClear
	case len(hello.GetProof()) == 0 && len(hello.GetStanding()) == 0: // no wrong guess: it has no token
		return errNoProof
	}
	return t.cfg.Auth.prove(t.conn.RemoteAddr(), t.session, hello)
}

// waitAfter returns how long a listener should wait after this error before it asks again.
func waitAfter(err error) time.Duration {
	switch {
	case errors.Is(err, errTries):
		return afterTries
	case errors.Is(err, errToken):
		return afterWrong
	case errors.Is(err, errNoProof):
		return afterNone
	}
	return 0
}

// sentence returns the error with a capital letter and a full stop.
func sentence(err error) string {
	s := err.Error()
	return string(s[0]-'a'+'A') + s[1:] + "."
}
