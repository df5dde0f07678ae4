package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Guard lets through to handler what a person has asked for, or a page that this machine has served. With names,
// this machine may also be called by them.
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

// ownName says whether host may be this machine. A stranger can have a name of his own point to any address, and
// the browser of whoever looks at his page ask here; but then the question says that name. He cannot do so with an
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
		if parent, is := strings.CutPrefix(name, "*."); is { // as certificates have it: any first label
			_, rest, _ := strings.Cut(host, ".")
			return strings.EqualFold(parent, rest)
		}
		return strings.EqualFold(name, host)
	})
}

// ownPage says whether no page asks, or one that this radio has served itself. A player may be told by any page where
// the music is; and who follows a link from elsewhere looks at a page of ours.
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

// only answers false, and says so to the client, if the method is none of those.
func only(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	http.Error(w, "Here is only "+strings.Join(methods, " or ")+".", http.StatusMethodNotAllowed)
	return false
}
