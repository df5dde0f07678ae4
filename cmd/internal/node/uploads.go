package node

import (
	"context"
	"io"
	"time"

	"conga/actors"
	"conga/actors/catalog"
	"conga/messages"
	"conga/transport/web"
)

// uploads lets the page's visitors bring songs to a server.
type uploads struct {
	*catalog.Uploads
	limits actors.UploadLimits
	now    func() time.Time
}

// taking returns nil, not an interface of a nil pointer, if no songs are taken.
func (w *webSource) taking() web.Uploads {
	if w.uploads == nil {
		return nil
	}
	return w.uploads
}

// Take takes a file.
func (u *uploads) Take(ctx context.Context, file web.Upload, body io.Reader) (song, title string, err error) {
	taken, err := u.Uploads.Take(ctx, catalog.Upload{
		ID: file.ID, Name: file.Name, Bytes: file.Size, By: file.By, Person: file.Person, AtUs: u.now().UnixMicro(),
	}, body)
	return taken.GetName(), taken.GetTitle(), err
}

// Offer says which files are taken.
func (u *uploads) Offer() web.Offer {
	offer := web.Offer{Largest: u.limits.Largest, Endings: []string{".mp3"}}
	if u.Converts() {
		offer.Endings = messages.SongEndings()
	}
	return offer
}

// offer is Offer for the page; nil: no files are taken.
func (u *uploads) offer() *web.Offer {
	if u == nil {
		return nil
	}
	offer := u.Offer()
	return &offer
}
