package transport

import (
	"bufio"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

func TestClaim_Rule(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		claim
		want ruling
	}{
		"the same process, the older alive":     {claim{sameLife: true, waited: 0, quiet: 1 * ms}, takeOver},
		"the same process, the older dead":      {claim{sameLife: true, quiet: time.Hour}, takeOver},
		"another, the older silent for long":    {claim{quiet: time.Hour}, waitOn},
		"another, the older may live":           {claim{waited: 0, quiet: 900 * ms}, waitOn},
		"another, nothing heard since":          {claim{waited: 2 * time.Second, quiet: 2400 * ms}, waitOn},
		"another, the older has spoken since":   {claim{waited: 600 * ms, quiet: 100 * ms}, keepAway},
		"another, the older spoke just before":  {claim{waited: 100 * ms, quiet: 100 * ms}, waitOn},
		"another, and the time is up after all": {claim{waited: quietAfter, looked: quietAfter, quiet: quietAfter}, takeOver},
		"another, and this process stood still": {claim{waited: time.Minute, looked: 50 * ms, quiet: time.Minute}, waitOn},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.rule(); got != c.want {
				t.Errorf("%+v: %v, want %v", c.claim, got, c.want)
			}
		})
	}
}

// Two processes have copies of one key. While the first is alive, the second is told so; when the first
// is dead, the second takes its place, whatever the old connection looks like.
func TestRequests_Copy(t *testing.T) {
	for name, alive := range map[string]bool{"first alive": true, "first dead": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				house := openRequests(t, l, nil)
				hello := func(from string) (*Secured, *bufio.Reader) {
					conn := secure(t, l.dialFrom(t, from), amy)
					sayLine(t, conn, conn.Introduce(&messages.Hello{Version: 1, Leaf: true}))
					return conn, bufio.NewReader(conn)
				}
				first, r := hello("192.0.2.1:1")
				readLine[*messages.Welcome](t, r)
				await[*messages.JoinChain](t, house.chain)
				var pings sync.WaitGroup
				defer pings.Wait()
				if alive {
					pings.Go(func() { // it says nothing until it is told to
						for {
							said, err := readReply(r)
							if err != nil {
								return
							}
							if said == "SPEAKUP {}" {
								time.Sleep(time.Millisecond) // on its way
								line, _ := AppendLine(nil, &messages.ClockPing{SentUs: 1})
								if _, err := first.Write(line); err != nil {
									return
								}
							}
						}
					})
				}
				time.Sleep(500 * time.Millisecond)
				start := time.Now()
				_, answer := hello("198.51.100.1:1")
				if alive {
					refused := readLine[*messages.Refused](t, answer)
					if want := fmt.Sprintf(sayCopy, "192.0.2.1"); refused.GetReason() != want {
						t.Errorf("refused: %s, want %s", refused.GetReason(), want)
					}
					if len(house.chain) > 0 {
						t.Errorf("the first has suffered: %v", <-house.chain)
					}
				} else {
					readLine[*messages.Welcome](t, answer)
					await[*messages.JoinChain](t, house.chain)
				}
				if took := time.Since(start); took > quietAfter {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
