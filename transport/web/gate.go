package web

import (
	"encoding/json"
	"errors"
	"net/http"

	"conga/transport"
)

// passCookie holds a browser's pass. Because of its prefix, browsers take it only from this very host, over TLS.
const passCookie = "__Host-conga"

// members lets in those who have shown the token: a browser by its cookie, a player by the pass in its playlist. The token
// is sent over TLS only; without TLS there is nothing but a redirect.
func members(inside http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/enter", enter)
	for _, name := range []string{"door.js", "style.css", "icon.svg"} {
		mux.HandleFunc("/"+name, asset(name))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isMember(r):
			inside.ServeHTTP(w, r)
		case r.URL.Path == "/" && only(w, r, http.MethodGet, http.MethodHead):
			door(w)
		case r.URL.Path != "/":
			http.Error(w, "This radio asks for a token: open https://"+r.Host+"/ in a browser. With the token in CONGA_AUTH: conga join HOST:PORT",
				http.StatusForbidden)
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case secure(r):
			mux.ServeHTTP(w, r)
		case r.URL.Path == "/" && only(w, r, http.MethodGet, http.MethodHead): // browsers send nothing of what stands behind #
			http.Redirect(w, r, "https://"+r.Host+"/", http.StatusTemporaryRedirect)
		case r.URL.Path != "/":
			http.Error(w, "This radio asks for a token, which must not be sent in clear: use https. With the token in CONGA_AUTH: conga join HOST:PORT",
				http.StatusForbidden)
		}
	})
}

// isMember says whether the client has a pass. A player cannot keep a cookie, so its playlist names a pass, which
// opens only the music.
func isMember(r *http.Request) bool {
	visit := transport.VisitOf(r.Context())
	if visit == nil {
		return false
	}
	if cookie, err := r.Cookie(passCookie); err == nil && visit.Knows(cookie.Value) {
		return true
	}
	return r.URL.Path == streamPath && visit.KnowsPlayer(r.URL.Query().Get("pass"))
}

// door asks for the token. A link may carry it behind #, where no proxy and no log sees it.
func door(w http.ResponseWriter) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'none'; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	body, _ := assets.ReadFile("page/door.html")
	_, _ = w.Write(body)
}

// enter takes the token. A request without a token is told whether the browser has a pass: a browser that has followed a
// link does not show its cookie at once.
func enter(w http.ResponseWriter, r *http.Request) {
	if !only(w, r, http.MethodGet, http.MethodPost) {
		return
	}
	if r.Method == http.MethodGet {
		reply(w, http.StatusOK, map[string]bool{"in": isMember(r)})
		return
	}
	visit := transport.VisitOf(r.Context())
	var said struct{ Token string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&said); err != nil || visit == nil {
		fail(w, http.StatusBadRequest, errors.New("send {\"token\": \"…\"}"))
		return
	}
	pass, err := visit.Enter(said.Token)
	switch {
	case errors.Is(err, transport.ErrTries):
		fail(w, http.StatusTooManyRequests, err)
	case err != nil:
		fail(w, http.StatusForbidden, err)
	default:
		http.SetCookie(w, &http.Cookie{
			Name: passCookie, Value: pass, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
			MaxAge: int(transport.WebPassLasts.Seconds()),
		})
		reply(w, http.StatusOK, map[string]bool{"in": true})
	}
}
