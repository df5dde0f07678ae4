package seed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"conga/messages"
	"conga/transport"
)

// nativePatience is how long a native server may take to answer on a short line. A server of 2016 never
// answers.
const nativePatience = time.Second

// Recognize reports whether the server whose request port is at addr is one of 2016. Such a server breaks
// if anybody opens its ports in another order than its clients do, so a native calls Recognize before
// it opens them. Recognize joins as a client does, and leaves at once.
//
// If it returns false, the native's own join will say what is there, if anything is.
func Recognize(ctx context.Context, addr string, line *transport.Line) bool {
	stream, err := transport.StreamOf(addr)
	if err != nil {
		return false
	}
	gate, err := line.Node(ctx, stream)
	if err != nil {
		return false
	}
	defer gate.Close()
	defer context.AfterFunc(ctx, func() { _ = gate.Close() })()
	// A native refuses a HI without a name; that is an answer, too.
	patience := line.Patience(nativePatience)
	_ = gate.SetDeadline(time.Now().Add(patience))
	if _, err := gate.Write(frame(messages.KindHi, nil)); err != nil {
		return false
	}
	var kind [len(messages.KindHi)]byte
	_, err = io.ReadFull(gate, kind[:])
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		return false
	}
	requests, err := transport.DialServer(ctx, addr)
	if err != nil {
		return false
	}
	defer requests.Close()
	_ = gate.SetDeadline(time.Now().Add(patience))
	join, err := ReadJoin(gate)
	if err != nil {
		return false
	}
	_ = decline(ctx, join, gate, requests) // if that fails, there is no more to do
	return true
}

// decline takes the place and gives it up, as a client of 2016 does.
func decline(ctx context.Context, join Join, gate, requests net.Conn) error {
	here, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(int(join.Port))))
	if err != nil {
		return err
	}
	defer here.Close()
	_ = gate.Close()
	above := net.JoinHostPort(join.Host, strconv.Itoa(int(join.Port)-1))
	music, err := transport.DialNode(ctx, above)
	if err != nil {
		return err
	}
	defer hangUp(music)
	_ = requests.SetDeadline(time.Now().Add(answerPatience))
	_, err = fmt.Fprintf(requests, "%sHOST,%s,PORT,%d", sayLeave, join.Host, join.Port)
	return err
}

// hangUp sends the end of the connection before unread music causes a reset: the program of 2016 survives
// an end, but breaks at a reset.
func hangUp(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.Close()
}
