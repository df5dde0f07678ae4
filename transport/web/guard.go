package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Guard passes a request to handler if it comes from a person, or from a page that this machine has served. names are
// further names of this machine.
func Guard(handler http.Handler, names ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		switch {
		case !ownName(r.Host, names):
			http.Error(w, "This radio is not known by that name. Use its address; or its operator starts it with --web-name "+
				"NAME for each name that people use.", http.StatusMisdirectedRequest)
		case !ownPage(r):
			http.Error(w, "Pages of other sites may not use this radio.", http.StatusForbidden)
		default:
			handler.ServeHTTP(w, r)
		}
	})
}

// ownName says whether host may be this machine. Strangers can let a name of their own point to this machine's address,
// and the browsers that show their page then ask here; but such a request says that name. They cannot do so with an
// address, nor with a name that no registry gives away.
func ownName(host string, names []string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	if host == "" || strings.ContainsAny(host, "/\\ \"'<>") {
		return false
	}
	for _, nobodys := range []string{".local", ".localhost", ".home.arpa", ".internal"} {
		if strings.HasSuffix(host, nobodys) {
			return true
		}
	}
	return !strings.Contains(host, ".") || slices.ContainsFunc(names, func(name string) bool {
		if parent, is := strings.CutPrefix(name, "*."); is { // as in certificates: any first label
			_, rest, _ := strings.Cut(host, ".")
			return strings.EqualFold(parent, rest)
		}
		return strings.EqualFold(name, host)
	})
}

// ownPage says whether the request comes from no page, or from one that this radio has served. Any page may start a
// player of the music, and a link on any page may lead to a page of ours.
func ownPage(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		(r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate" || r.URL.Path == streamPath)
}

// only refuses the request and returns false if its method is none of these.
func only(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	http.Error(w, "Here is only "+strings.Join(methods, " or ")+".", http.StatusMethodNotAllowed)
	return false
}
