package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

const (
	// webProtocol is what a browser names in its TLS handshake.
	webProtocol = "http/1.1"
	// maxHead bounds what is read of a web request before its answer; its body never is.
	maxHead = 16 << 10
)

// webPage is all that the request port has for browsers.
const webPage = `This is the request port of a conga radio. It takes lines of text, not web requests.

  conga join HOST:PORT   listens, and passes the music on
  nc HOST PORT           takes SONGS, REQUESTS, PLAY <name or number>, HELP and QUIT

HOST and PORT are those that you have just asked.
`

// requestLine is how every request of HTTP begins: a method, a target, a version.
var requestLine = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\\S+)(?: HTTP/[0-9.]+)?$")

// speaksWeb says whether a connection that begins with the line belongs to a browser, or to
// another program that takes this for a web server. Nothing that follows is a request
// then: a web page may have its visitors' browsers send any lines here. Of a line that was too
// long, cut is true and its end is missing.
func speaksWeb(line string, cut bool) bool {
	if cut {
		line = strings.Join(strings.SplitN(line, " ", 3)[:min(2, strings.Count(line, " ")+1)], " ")
	} else if at := strings.LastIndexByte(line, ' '); at < 0 || !strings.HasPrefix(line[at:], " HTTP/") {
		return false
	}
	parts := requestLine.FindStringSubmatch(line)
	if parts == nil {
		return false
	}
	method, target := parts[1], parts[2]
	if strings.HasPrefix(target, "/") || strings.Contains(target, "://") { // no song's name has a slash
		return true
	}
	return !cut && !isWord(method)
}

// isWord says whether a line of the dialect, or of a person, may begin so.
func isWord(word string) bool {
	_, native := verbs[word]
	switch strings.ToUpper(word) {
	case "SONGS", "REQUESTS", "PLAY", "HELP", "QUIT", "END", "AUTH":
		return true
	}
	return native
}

// web answers the request that begins with the line; the connection is over then.
func (t *requestTalk) web(line string, cut bool) error {
	t.guest.patience(helloPatience)
	code, method := http.StatusRequestURITooLong, ""
	if !cut {
		rest := &io.LimitedReader{R: t.r, N: maxHead}
		request, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(line+"\r\n"), rest)))
		switch {
		case err != nil && rest.N == 0:
			code = http.StatusRequestHeaderFieldsTooLarge
		case errors.Is(err, io.ErrUnexpectedEOF), err != nil && timedOut(err):
			return err // it has gone
		case err != nil:
			code = http.StatusBadRequest
		default:
			method = request.Method
			code = webCode(request)
		}
	}
	t.out.put(webAnswer(code, method))
	return errDone
}

func webCode(request *http.Request) int {
	switch {
	case request.ProtoMajor != 1:
		return http.StatusHTTPVersionNotSupported
	case request.Method != http.MethodGet && request.Method != http.MethodHead:
		return http.StatusMethodNotAllowed
	case request.URL.Path != "/":
		return http.StatusNotFound
	}
	return http.StatusOK
}

// webAnswer is a whole answer. It says nothing that the request said.
func webAnswer(code int, method string) []byte {
	head := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"+
		"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n", code, http.StatusText(code), len(webPage))
	if code == http.StatusMethodNotAllowed {
		head = append(head, "Allow: GET, HEAD\r\n"...)
	}
	head = append(head, "\r\n"...)
	if method == http.MethodHead {
		return head
	}
	return append(head, webPage...)
}
