package ask

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// always is a radio that gives every question the same answer.
type always struct {
	code int
	body string
}

func (a always) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.code, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// A radio that says for ever that it is asked too often, or that there are always more songs, holds up nobody for ever.
func TestRadio_Hostile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := Radio{client: &http.Client{Transport: always{http.StatusTooManyRequests, `{"error":"too many requests"}`}}}
		if _, err := busy.Now(t.Context()); err == nil || !strings.Contains(err.Error(), "too many requests") {
			t.Errorf("a busy radio: %v", err)
		}
	})
	page := fmt.Sprintf(`{"songs":[{}%s],"total":9000000000}`, strings.Repeat(",{}", 9999))
	endless := Radio{client: &http.Client{Transport: always{http.StatusOK, page}}}
	if _, err := endless.Songs(t.Context(), "", true); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("endless songs: %v", err)
	}
}
