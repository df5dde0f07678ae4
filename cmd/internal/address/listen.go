package address

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// ListenPair listens on HOST:PORT and on the port after it. With port 0 it looks for a free pair.
func ListenPair(addr string) (requests, stream net.Listener, err error) {
	const tries = 50
	for try := 1; ; try++ {
		requests, err = net.Listen("tcp", addr)
		if err != nil {
			return nil, nil, CannotListen("--listen", addr, err)
		}
		host, port, _ := net.SplitHostPort(addr)
		n := requests.Addr().(*net.TCPAddr).Port
		if n == 65535 && port != "0" {
			return nil, nil, errors.Join(errors.New("the stream is on the port after --listen: 65534 is the last one"), requests.Close())
		}
		next := net.JoinHostPort(host, strconv.Itoa(n+1))
		if stream, err = net.Listen("tcp", next); err == nil {
			return requests, stream, nil
		}
		_ = requests.Close()
		if port != "0" || try == tries {
			return nil, nil, fmt.Errorf("the stream is on the port after --listen: %w", CannotListen("--listen", next, err))
		}
	}
}

// CannotListen adds to err what to do about the address, which the flag named and which cannot be used.
func CannotListen(flag, addr string, err error) error {
	host, port, _ := net.SplitHostPort(addr)
	if lookup := (*net.DNSError)(nil); errors.As(err, &lookup) {
		return fmt.Errorf("listen on %s: there is no host %s: %s takes an address of this machine, or :%s for all of them", addr, host, flag, port)
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err
	}
	remedy := flag + " takes another address"
	switch {
	case isTaken(err):
		remedy = fmt.Sprintf("is another conga running there? Choose another port: %s %s", flag, net.JoinHostPort(host, "9000"))
	case isForbidden(err):
		remedy = fmt.Sprintf("only the administrator may use ports below 1024. Choose another port: %s %s", flag, net.JoinHostPort(host, RequestsPort))
	case isElsewhere(err):
		remedy = fmt.Sprintf("this machine does not have that address: %s :%s listens on all of its addresses", flag, port)
	}
	return fmt.Errorf("listen on %s: %w; %s", addr, err, remedy)
}

// Shown returns an address that works from this machine: a listener on all interfaces is
// shown as the loopback address.
func Shown(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Advertised returns where others reach the port. It has no host if the port listens on all
// interfaces, because the server sees from which address it was reached.
func Advertised(addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	return net.JoinHostPort(host, port)
}
