// Package ports finds ports for tests that must know one before anybody listens there, or that listen there again later.
// A port of the system's choice (":0") is not for that: while nobody listens there, any connection may get it.
package ports

import (
	"fmt"
	"net"
	"os"
	"sync"
)

// The ports are where no system takes its own from, in parts: each process has one, for the tests of several packages run
// at once. Whoever listens on a part's first port has the part.
const first, parts, perPart = 10_000, 50, 400

var mine struct {
	sync.Mutex
	claim net.Listener // until the process ends
	first int
	next  int // in the part
}

// Free is the first of n ports in a row that are free on 127.0.0.1. They stay free until somebody listens there: no other
// process is told them, and this one only after some hundred others.
func Free(n int) (int, error) {
	mine.Lock()
	defer mine.Unlock()
	if mine.claim == nil {
		if err := claim(); err != nil {
			return 0, err
		}
	}
	var err error
	for range perPart {
		if mine.next+n > perPart {
			mine.next = 1
		}
		free := 0
		for ; free < n; free++ {
			var l net.Listener
			if l, err = listen(mine.first + mine.next + free); err != nil {
				break
			}
			_ = l.Close()
		}
		port := mine.first + mine.next
		mine.next += n
		if free == n {
			return port, nil
		}
	}
	return 0, err
}

func claim() (err error) {
	for i := range parts {
		at := first + (os.Getpid()+i)%parts*perPart
		if mine.claim, err = listen(at); err == nil {
			mine.first, mine.next = at, 1
			return nil
		}
		mine.claim = nil
	}
	return fmt.Errorf("all ports for tests are in use: %w", err)
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
}
