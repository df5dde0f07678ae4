package transport

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"conga/messages"
)

// Pass is a secret that all members of a broadcast with a token share. The server gives it to
// each in its Welcome, inside TLS. It is never sent on stream connections: a HI or OF proves
// with an HMAC that the sender has it, to one node and for a minute, so overhearing one is of
// no use. An empty Pass lets everybody in.
type Pass []byte

// openHouse returns the pass of a node that serves everybody.
func openHouse() (Pass, error) { return nil, nil }

var errStranger = &refused{
	messages.StreamOpened_REFUSAL_STRANGER, "only members of this broadcast are served here: join at its server, with its token",
}

// prove returns the proof that the sender of a has the pass; nil if there is no pass.
func (p Pass) prove(a asking) []byte {
	if len(p) == 0 {
		return nil
	}
	mac := hmac.New(sha256.New, p)
	mac.Write(statement("pass "+a.use, a.parts()...))
	return mac.Sum(nil)
}

// check returns errStranger unless proof was made with the pass.
func (p Pass) check(a asking, proof []byte) error {
	if len(p) > 0 && !hmac.Equal(proof, p.prove(a)) {
		return errStranger
	}
	return nil
}

// playerComes is how long a player may take from the server's answer to the node that it names.
const playerComes = time.Minute

// forPlayer returns a pass that opens the music of one node to whoever brings it until then, and nothing else. It may
// travel in clear, as the music does: who overhears it can do no more with it than hear that node for a minute.
func (p Pass) forPlayer(node string, until time.Time) string {
	body := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	return passText.EncodeToString(append(body, p.markPlayer(node, body)...))
}

// opens says whether the player's pass is for the node, and has not ended. An empty Pass lets everybody in.
func (p Pass) opens(node, pass string, now time.Time) bool {
	const untilBytes = 8
	if len(p) == 0 {
		return true
	}
	body, err := passText.DecodeString(pass)
	if err != nil || len(body) != untilBytes+sha256.Size || !hmac.Equal(body[untilBytes:], p.markPlayer(node, body[:untilBytes])) {
		return false
	}
	return now.Unix() < int64(binary.BigEndian.Uint64(body))
}

func (p Pass) markPlayer(node string, until []byte) []byte {
	mac := hmac.New(sha256.New, p)
	mac.Write(statement("pass player", []byte(node), until))
	return mac.Sum(nil)
}
