package transport

import (
	"context"
	"crypto/ed25519"
	"sync"
	"time"

	"conga/messages"
)

// admission decides which connections of one stream port are served. It outlives a
// restart of the port's actor. Safe for many goroutines.
type admission struct {
	cfg   *StreamsConfig
	since time.Time // when the port was opened

	mu       sync.Mutex
	seats    seats
	records  records
	catchUps catchUps
	uplink   Uplink
}

// clockError is how far apart the clocks of two nodes may be just after a restart of the server, whose
// clock begins again from the time of day.
const clockError = 10 * time.Second

func newAdmission(cfg *StreamsConfig) *admission {
	return &admission{cfg: cfg, since: time.Now(), records: records{}}
}

// let gives the sender of the HI a seat, or returns why not. Cheap checks come first, and a signature is
// checked only if the sender is expected, so strangers cost nothing but the wait. over is called to end the
// stream when the seat is lost; flow is the stream's.
func (d *admission) let(life context.Context, open *messages.OpenStream, from *guest, flow *outflow, over func(error)) (*seat, *record, error) {
	id, words := open.GetNode().GetId(), askingOf(open)
	key, err := d.heard(words, open.GetProof())
	if err != nil {
		return nil, nil, err
	}
	standing := expectedGuest
	if d.cfg.Expected != nil {
		if standing = d.cfg.Expected.wait(life, id); standing == unwelcome {
			return nil, nil, errUnexpected
		}
	}
	if err := words.genuine(key); err != nil {
		return nil, nil, err
	}
	newcomer := &seat{id: id, from: from.from, expected: standing == expectedGuest, sent: true, fed: open.GetFed(), over: over, flow: flow}
	if d.cfg.Expected != nil {
		newcomer.sent = d.cfg.Expected.sends(id)
	}
	record, err := d.sit(newcomer, words, d.cfg.ServerNow())
	return newcomer, record, err
}

// heard checks that the request is for this node, is recent and comes from a member, and returns the key
// that must have signed it.
func (d *admission) heard(words asking, proof []byte) (ed25519.PublicKey, error) {
	key := ownKey(words.from)
	if key == nil {
		return nil, errForged
	}
	nowUs := d.cfg.ServerNow()
	if err := words.timely(d.cfg.Self().GetId(), nowUs); err != nil {
		return nil, err
	}
	if words.atUnixUs < nowUs-time.Since(d.since).Microseconds()-clockError.Microseconds() {
		return nil, errStale // said to the process before this one, which may have heard it
	}
	pass, err := d.cfg.Pass()
	if err != nil {
		return nil, err
	}
	return key, pass.check(words, proof)
}

// sit remembers the request, so that it cannot be used again, and gives the seat.
func (d *admission) sit(newcomer *seat, words asking, nowUs int64) (*record, error) {
	d.sweep()
	var out []*seat
	defer func() {
		for _, other := range out {
			other.over(errSeat)
		}
	}()
	d.mu.Lock()
	defer d.mu.Unlock()
	known := newcomer.id
	if !newcomer.expected {
		known = "" // strangers share one record
	}
	record := d.records.of(known, nowUs)
	if err := record.hear(words.nonce, words.atUnixUs, nowUs); err != nil {
		return nil, err
	}
	if record.sated(time.Now()) {
		return nil, errGreedy
	}
	if newcomer.fed && !newcomer.sent {
		other, room := d.seats.room(newcomer, d.uplink.AtMost(AtMostInNeed(d.cfg.Expected.members())), d.cfg.Expected.sends)
		if !room {
			return nil, errStay
		}
		if other != nil {
			d.seats.leave(other)
			out = append(out, other)
		}
	}
	out = append(out, d.seats.take(newcomer)...)
	return record, nil
}

// begin returns where the stream of a listener begins that is behind by so many items.
func (d *admission) begin(at *seat, of *record, behind int) start {
	if at.sent {
		return startAsked
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.catchUps.begin(of.catchUp, at.from, behind, time.Now())
}

// sweep ends the streams of listeners that are no longer expected, except for a few. A listener that has left
// the chain must not keep its seat for ever, even if nobody else comes.
func (d *admission) sweep() {
	if d.cfg.Expected == nil {
		return
	}
	d.mu.Lock()
	out := d.seats.recount(func(id string) bool { return d.cfg.Expected.is(id) == expectedGuest })
	d.mu.Unlock()
	for _, other := range out {
		other.over(errSeat)
	}
}

// look learns how many in need the uplink carries, and ends the streams of those that are too many.
func (d *admission) look(now time.Time) {
	d.mu.Lock()
	fed, all := d.seats.inNeed(d.cfg.Expected.sends)
	out := fed[:d.uplink.Look(now, BehindMost(d.seats.outflows()), all, len(fed))]
	for _, other := range out {
		d.seats.leave(other)
	}
	d.mu.Unlock()
	for _, other := range out {
		d.cfg.Counters.Refuse(RefusedFull)
		other.over(errFull)
	}
}

func (d *admission) leave(seat *seat) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seats.leave(seat)
}

// offer returns an error unless the OF is from a node that may offer its music here.
func (d *admission) offer(offer *messages.OfferStream) error {
	id, words := offer.GetNode().GetId(), offeringOf(offer, d.cfg.Self().GetId())
	key, err := d.heard(words, offer.GetProof())
	switch {
	case err != nil:
		return err
	case d.cfg.Expected != nil && !d.cfg.Expected.offers(id):
		return errUnexpected
	}
	if err := words.genuine(key); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	nowUs := d.cfg.ServerNow()
	return d.records.of(id, nowUs).hear(words.nonce, words.atUnixUs, nowUs)
}

// proveIdentity answers the server's question which listener's port this is.
func proveIdentity(identity *Identity, ask *messages.AskIdentity) *messages.ProveIdentity {
	return &messages.ProveIdentity{Signature: identity.sign(useIdentity, []byte(identity.ID()), ask.GetNonce())}
}

// proves reports whether the answer was signed by the key's owner.
func proves(answer *messages.ProveIdentity, key ed25519.PublicKey, nonce []byte) bool {
	return signed(key, answer.GetSignature(), useIdentity, []byte(idOf(key)), nonce)
}
