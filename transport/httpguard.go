package transport

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ownOnly passes to handler only a GET or HEAD that names an address or name of this node and does not come
// from a web page of another site. It stops DNS rebinding: a stranger can point a name of their own at this
// machine's address and make their visitors' browsers ask here, but then the request has that name.
func ownOnly(listening net.Addr, names []string, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			header.Set("Allow", "GET, HEAD")
			http.Error(w, "This port only answers: GET or HEAD.", http.StatusMethodNotAllowed)
		case !ownHost(r.Host, listening, names):
			http.Error(w, "This node does not have that name. Use the address in its ready line: http="+listening.String(), http.StatusForbidden)
		case !ownPage(r):
			http.Error(w, "Pages of other sites may not use this port.", http.StatusForbidden)
		default:
			handler.ServeHTTP(w, r)
		}
	})
}

// ownHost reports whether the request's host is an address, or a name that this machine is known to have.
// Nobody can redirect an address. But a node that listens only on loopback refuses other machines'
// addresses.
func ownHost(host string, listening net.Addr, names []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ip.Unmap().IsLoopback() || !onLoopback(listening)
	}
	return host == "" || host == "localhost" || slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, host) })
}

func onLoopback(addr net.Addr) bool {
	ip, err := netip.ParseAddr(hostOf(addr))
	return err == nil && ip.IsLoopback()
}

// ownPage reports whether the request comes from no web page, or from one that this node has served.
// Browsers say so even in requests whose answers they would not show to the page.
func ownPage(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return false
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "none" || site == "same-origin"
}
