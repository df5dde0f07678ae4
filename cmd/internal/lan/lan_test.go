package lan

import (
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"conga/cmd/internal/address"

	"github.com/hashicorp/mdns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer is what a machine says of itself.
func answer(name string, port int, ip string) *mdns.ServiceEntry {
	e := &mdns.ServiceEntry{Name: name + "." + service + "." + domain, Port: port}
	if at := net.ParseIP(ip); at.To4() != nil {
		e.AddrV4 = at
	} else {
		e.AddrV6 = at
	}
	return e
}

func TestRadios_Hostile(t *testing.T) {
	answers := []*mdns.ServiceEntry{
		answer("zoe", 7000, "192.0.2.9"),
		answer("amy", 7000, "192.0.2.1"),
		answer("amy again", 7000, "192.0.2.1"),
		answer("six", 7000, "2001:db8::1"),
		answer("\x1b[2J\u202eevil\nready requests=", 7000, "192.0.2.2"),
		answer("me", 7000, "127.0.0.1"),
		answer("everybody", 7000, "0.0.0.0"),
		answer("group", 7000, "224.0.0.251"),
		answer("no port", 0, "192.0.2.3"),
		answer("last port", 65535, "192.0.2.3"),
		answer("nowhere", 7000, ""),
		{Name: "printer._ipp._tcp.local.", Port: 631, AddrV4: net.IPv4(192, 0, 2, 4)},
	}
	all := make(chan *mdns.ServiceEntry, 1000)
	for _, a := range answers {
		all <- a
	}
	for n := range 500 { // most of them come too late
		all <- answer("zz"+strconv.Itoa(n), 7000, "198.51.100."+strconv.Itoa(n%250))
	}
	close(all)
	got := radios(all)
	if len(got) != mostRadios {
		t.Errorf("%d radios", len(got))
	}
	for _, want := range []Radio{
		{"amy", "192.0.2.1:7000"}, {"zoe", "192.0.2.9:7000"}, {"six", "[2001:db8::1]:7000"}, {"[2Jevil ready requests=", "192.0.2.2:7000"},
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%v is not among %v", want, got)
		}
	}
	for _, r := range got {
		if host, _, _ := net.SplitHostPort(r.Addr); slices.Contains([]string{"127.0.0.1", "0.0.0.0", "192.0.2.3", "192.0.2.4"}, host) {
			t.Errorf("%v is a radio", r)
		}
	}
}

// A server that is announced is found, and no longer once it stops.
func TestFind_Announced(t *testing.T) {
	port, err := net.Listen("tcp4", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	at := address.Outward(port.Addr())
	stop, err := Announce(at)
	if err != nil {
		t.Skipf("no network that carries mDNS here: %v", err)
	}
	is := func(r Radio) bool { return slices.Contains(at, r.Addr) }
	for try := 0; !slices.ContainsFunc(Find(t.Context(), time.Second), is); try++ {
		if try == 10 {
			t.Fatalf("%v is not found", at)
		}
	}
	stop()
	if found := Find(t.Context(), time.Second); slices.ContainsFunc(found, is) {
		t.Errorf("it is gone and still found: %v", found)
	}
}

func TestAnnounce_NobodyElse(t *testing.T) {
	if _, err := Announce([]string{"127.0.0.1:7000"}); err == nil {
		t.Error("a radio that only this machine reaches is announced")
	}
}

// A machine in several networks is announced in each by its address there: a guest of one may not reach the others.
func TestAmong(t *testing.T) {
	all := []net.IP{net.IPv4(192, 0, 2, 7), net.IPv4(198, 51, 100, 7), net.ParseIP("2001:db8::7")}
	for _, test := range []struct {
		own  []string
		want []net.IP
	}{
		{[]string{"192.0.2.7/24", "fe80::7/64"}, all[:1]},
		{[]string{"2001:db8::7/64", "198.51.100.7/24"}, all[1:]},
		{[]string{"172.17.0.1/16"}, all}, // a bridge inside this machine
		{nil, all},
	} {
		var own []net.Addr
		for _, text := range test.own {
			ip, network, err := net.ParseCIDR(text)
			if err != nil {
				t.Fatal(err)
			}
			own = append(own, &net.IPNet{IP: ip, Mask: network.Mask})
		}
		if got := among(own, all); !slices.EqualFunc(got, test.want, net.IP.Equal) {
			t.Errorf("%v: %v, want %v", test.own, got, test.want)
		}
	}
}
