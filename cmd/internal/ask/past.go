package ask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Past asks for what was broadcast from a moment on, as the frames of a stream connection, at the speed of the music. It ends
// with ctx.
func (r *Radio) Past(ctx context.Context, moment string) (music io.ReadCloser, err error) {
	err = r.anywhere(ctx, func() error {
		music, err = r.pastHere(ctx, moment)
		return err
	})
	return music, err
}

func (r *Radio) pastHere(ctx context.Context, moment string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://127.0.0.1/past?"+url.Values{"at": {moment}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := r.http().Do(request)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("ask %s: %w", r.server(), err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	if err := sentTo(answer); err != nil {
		return nil, err
	}
	body, _ := io.ReadAll(&bounded{answer.Body, maxAnswer}) // without a reason it is refused, too
	return nil, r.refused(answer.StatusCode, body)
}
