package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"conga/cmd/conga-chaos/internal/cables"
	"conga/cmd/internal/cli"
	"conga/messages"
)

// fault is what befalls the servers of a radio, or those that keep its log.
type fault string

const (
	killServer fault = "kill"   // kill -9 of the server that leads; it comes back to stand by
	freeze     fault = "freeze" // SIGSTOP of the server that leads, for longer than its lease
	killNATS   fault = "nats"   // kill -9 of a server of NATS, in turn; it comes back
	killLog    fault = "log"    // the same to the one that leads the log's stream
	stallNATS  fault = "stall"  // SIGSTOP of a server of NATS, in turn, for longer than the lease
	pullNATS   fault = "pull"   // the cable of a server of NATS, in turn, is pulled for a while: nobody is told
	cutOff     fault = "cut"    // the server that leads is cut off from NATS until the other one leads
	cutBriefly fault = "brief"  // and for less than its lease
	cutBoth    fault = "narrow" // and the one that stands by reaches one server of NATS only
)

var faults = []fault{killServer, freeze, killNATS, killLog, stallNATS, pullNATS, cutOff, cutBriefly, cutBoth}

// cabled faults need hosts of their own.
func (f fault) cabled() bool { return f == pullNATS || f == cutOff || f == cutBriefly || f == cutBoth }

// moves says that another server is to lead afterwards; otherwise none should.
func (f fault) moves() bool { return !f.nats() && f != cutBriefly }

// nats says that it befalls a server of NATS.
func (f fault) nats() bool {
	return f == killNATS || f == killLog || f == stallNATS || f == pullNATS
}

const (
	// takesOverWithin is how long a takeover may take until it is one that failed: that nobody hears it is another promise.
	takesOverWithin = 30 * time.Second
	// comesBackAfter is how long after a takeover the one that led comes back, and a server of NATS after it was killed.
	comesBackAfter = time.Second
	// natsAway is longer than a server of conga needs to find another one of NATS.
	natsAway = 8 * time.Second
	// settledAfter is how many items the last listener hears before the next fault: an upstream that feeds it for two seconds
	// only counts as one that fails.
	settledAfter = 25
	// settlesWithin is how long that may take.
	settlesWithin = 20 * time.Second
)

// trial is one run.
type trial struct {
	*experiment
	stations *stations
	nats     *natsServers
	tap      *tap
	lease    time.Duration
	turn     int // of the servers of NATS
	results  []result
	both     []string // items that a server gave out after another had begun to
}

// result is what a fault did.
type result struct {
	fault
	handovers []sinceFault
	pause     time.Duration // the longest between two items
	underruns int           // of all listeners
	silentMs  int64
}

// sinceFault is a handover: how long after the fault the last item of the one came, and the first of the other.
type sinceFault struct{ last, first time.Duration }

// run carries out the faults, one after the other.
func (t *trial) run(ctx context.Context, all []fault) error {
	if err := t.settle(ctx); err != nil {
		return err
	}
	for n, f := range all {
		t.stations.remember(ctx)
		before := t.heard(ctx)
		what, at, err := t.strike(ctx, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			t.fault("%s: %v", what, err)
		}
		if err := errors.Join(t.mend(ctx), t.settle(ctx), t.mend(ctx)); err != nil {
			return err
		}
		t.stations.remember(ctx)
		t.judge(f, at, before, t.heard(ctx))
		t.say("%d of %d, %s: %s", n+1, len(all), what, t.results[len(t.results)-1])
	}
	return nil
}

// strike carries out one, until another server leads if that follows of it. It says what it did, and when it began.
func (t *trial) strike(ctx context.Context, f fault) (what string, at time.Time, err error) {
	if f.nats() {
		return t.strikeNATS(ctx, f)
	}
	leader, err := t.stations.leader(ctx, -1, takesOverWithin)
	if err != nil {
		return string(f), time.Now(), err
	}
	st, other := t.stations.all[leader], t.stations.all[1-leader]
	what, end := fmt.Sprint(f, " ", st.addr), func() error { return nil }
	if f == cutBoth {
		err = t.part(other.net.cable, t.nats.all[1:])
		if err == nil { // until it has noticed, and has found the one that is left
			err = cli.Pause(ctx, natsAway)
		}
	}
	at = time.Now()
	switch f {
	case killServer:
		st.kill()
		end = func() error { return t.stations.start(ctx, leader) }
	case freeze:
		st.process().freeze()
		end = func() error { st.process().thaw(); return nil }
	case cutOff, cutBriefly, cutBoth:
		err = errors.Join(err, t.part(st.net.cable, t.nats.all))
		end = func() error { return errors.Join(st.net.cable.Meet(), other.net.cable.Meet()) }
	}
	switch {
	case err != nil:
	case f == cutBriefly:
		err = cli.Pause(ctx, t.lease/4)
	default:
		_, err = t.stations.leader(ctx, leader, takesOverWithin)
		err = errors.Join(err, cli.Pause(ctx, comesBackAfter)) // long enough to see that the one does nothing more
	}
	return what, at, errors.Join(err, end())
}

func (t *trial) part(from *cables.Host, servers []*natsServer) (err error) {
	for _, s := range servers {
		err = errors.Join(err, from.Part(s.net.cable))
	}
	return err
}

// strikeNATS takes a server of NATS away for a while.
func (t *trial) strikeNATS(ctx context.Context, f fault) (what string, at time.Time, err error) {
	s := t.nats.all[t.turn%len(t.nats.all)]
	if f == killLog {
		s, err = t.nats.leader(ctx, "CONGA_"+radioName)
	} else {
		t.turn++
	}
	what, at = string(f), time.Now()
	if err != nil {
		return what, at, err
	}
	what += " " + s.name
	switch f {
	case pullNATS:
		err = s.net.cable.Pull()
		return what, at, errors.Join(err, cli.Pause(ctx, natsAway), s.net.cable.Plug())
	case stallNATS:
		freezeProcess(s.cmd.Process)
		err = cli.Pause(ctx, natsAway)
		thawProcess(s.cmd.Process)
		return what, at, err
	}
	s.kill()
	err = cli.Pause(ctx, comesBackAfter)
	return what, at, errors.Join(err, s.start(ctx))
}

// mend waits until one server leads, the other stands by, and NATS is whole.
func (t *trial) mend(ctx context.Context) error {
	if err := t.nats.whole(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, takesOverWithin)
	defer cancel()
	for {
		leads := 0
		for _, st := range t.stations.all {
			if st.leads() {
				leads++
			}
		}
		if leads == 1 {
			return nil
		}
		if cli.Pause(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("%d servers say that they lead, %v after the fault", leads, takesOverWithin)
		}
	}
}

// settle waits until each listener has heard some items more.
func (t *trial) settle(ctx context.Context) error {
	before := t.heard(ctx)
	until := time.Now().Add(settlesWithin)
	for {
		if err := cli.Pause(ctx, 500*time.Millisecond); err != nil {
			return err
		}
		deaf := ""
		for name, r := range t.heard(ctx) {
			if r.receipt.Heard < before[name].receipt.Heard+settledAfter {
				deaf = name
			}
		}
		if deaf == "" {
			return nil
		}
		if time.Now().After(until) {
			t.fault("%s does not hear again, %v after a fault", deaf, settlesWithin)
			return nil
		}
	}
}

// heard asks all listeners what they have heard.
func (t *trial) heard(ctx context.Context) map[string]hearing {
	all := map[string]hearing{}
	for c, h := range t.hear(ctx, t.living()) {
		all[c.name] = h
	}
	return all
}

// judge notes what a fault did.
func (t *trial) judge(f fault, begin time.Time, before, after map[string]hearing) {
	r := result{fault: f}
	items := t.tap.between(begin.Add(-messages.MaxChunkDuration*2), time.Now())
	all, late := handovers(items)
	for _, h := range all {
		r.handovers = append(r.handovers, sinceFault{h.last.Sub(begin), h.first.Sub(begin)})
	}
	for _, what := range late {
		t.both = append(t.both, fmt.Sprintf("%s: %s", f, what))
	}
	switch {
	case f.moves() && len(all) != 1:
		t.fault("%s: the music was given out by another server %d times, instead of once", f, len(all))
	case !f.moves() && len(all) > 0:
		t.fault("%s: another server took over, though the one that led could lead on", f)
	}
	r.pause = pause(items, time.Now())
	for name, h := range after {
		if _, known := before[name]; !known {
			continue
		}
		r.underruns += h.receipt.Underruns - before[name].receipt.Underruns
		r.silentMs += h.receipt.SilentMs - before[name].receipt.SilentMs
	}
	t.results = append(t.results, r)
}

func (r result) String() string {
	text := fmt.Sprintf("the longest pause between two items %v, underruns %d, silent %d ms", r.pause.Round(time.Millisecond), r.underruns, r.silentMs)
	for _, h := range slices.Backward(r.handovers) {
		text = fmt.Sprintf("the last item of the one came %v after it, the first of the other %v after it; ", h.last.Round(time.Millisecond), h.first.Round(time.Millisecond)) + text
	}
	return text
}
