package transport

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// WebPassLasts is how long a browser that has shown the token need not show it again.
const WebPassLasts = 30 * 24 * time.Hour

var passText = base64.RawURLEncoding

// opening is what a pass opens. A player's stands in a playlist, which people pass on and programs keep.
type opening byte

const (
	opensAll   opening = 1 // the page and all behind it
	opensMusic opening = 2
)

// webPass is good until then. Nobody can make one without the server's key and its token, so none has to be remembered,
// and with another token all are void.
func (a *Auth) webPass(opens opening, until time.Time) string {
	body := binary.BigEndian.AppendUint64([]byte{byte(opens)}, uint64(until.Unix()))
	return passText.EncodeToString(append(body, a.markPass(body)...))
}

func (a *Auth) markPass(body []byte) []byte {
	mac := hmac.New(sha256.New, a.web)
	mac.Write(body)
	return mac.Sum(nil)
}

// knowsWeb says whether it is such a pass, and has not ended.
func (a *Auth) knowsWeb(pass string, opens opening, now time.Time) bool {
	const bodyBytes = 1 + 8
	body, err := passText.DecodeString(pass)
	if err != nil || len(body) != bodyBytes+sha256.Size || !hmac.Equal(body[bodyBytes:], a.markPass(body[:bodyBytes])) {
		return false
	}
	return opening(body[0]) == opens && now.Unix() < int64(binary.BigEndian.Uint64(body[1:]))
}

var errNotSecret = errors.New("this server asks for no token")

// Secret says whether there is a token.
func (v *Visit) Secret() bool { return v.talk.cfg.Auth != nil }

// Enter takes the token that a browser's user says, within the limits of wrong ones. Who is right gets a pass.
func (v *Visit) Enter(token string) (pass string, err error) {
	if !v.Secret() {
		return "", errNotSecret
	}
	if err := v.talk.cfg.Auth.say(v.talk.conn.RemoteAddr(), token); err != nil {
		return "", err
	}
	return v.pass(opensAll), nil
}

func (v *Visit) pass(opens opening) string {
	return v.talk.cfg.Auth.webPass(opens, v.talk.cfg.Now().Add(WebPassLasts))
}

// Knows says whether the pass is one of this server's.
func (v *Visit) Knows(pass string) bool { return v.knows(pass, opensAll) }

// PlayerPass is a pass that opens the music only, for the player of who has a pass.
func (v *Visit) PlayerPass() string { return v.pass(opensMusic) }

// NodePass is a pass that opens the music of one node only, for the player that is sent there.
func (v *Visit) NodePass(node string) string {
	return v.talk.cfg.Auth.pass.forPlayer(node, v.talk.cfg.Now().Add(playerComes))
}

// KnowsPlayer says whether the pass is one that opens the music.
func (v *Visit) KnowsPlayer(pass string) bool { return v.knows(pass, opensMusic) }

func (v *Visit) knows(pass string, opens opening) bool {
	return v.Secret() && v.talk.cfg.Auth.knowsWeb(pass, opens, v.talk.cfg.Now())
}

// ErrTries: its address has said too many wrong tokens.
var ErrTries = errTries
