package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"conga/actors/catalog"
	"conga/actors/catalog/library"
	"conga/actors/internal/transcode"
	"conga/messages"
)

// UploadLimits are how many bytes of songs people may bring: in one file, and all together.
type UploadLimits struct{ Largest, Most int64 }

// bringTakes is how long the catalog may take to write down what was brought.
const bringTakes = 10 * time.Second

func (s *Server) openUploads(converted *transcode.Cache) *catalog.Uploads {
	return catalog.NewUploads(catalog.UploadsConfig{
		Dir: s.cfg.Songs, Largest: s.cfg.Uploads.Largest, Most: s.cfg.Uploads.Most, Converted: converted,
		Known: s.Library,
		Bring: func(_ context.Context, song *messages.BringSong) error {
			answer, err := s.system.Root.RequestFuture(s.Catalog(), song, bringTakes).Result()
			if _, taken := answer.(*messages.BringAnswer); err == nil && !taken {
				err = errors.New("it is gone")
			}
			if err != nil {
				return fmt.Errorf("ask the catalog: %w", err)
			}
			return nil
		},
	})
}

// Library asks the catalog for its songs.
func (s *Server) Library(ctx context.Context) (library.State, error) {
	views, err := s.look(ctx, catalog.Actor)
	if err != nil {
		return library.State{}, err
	}
	return views[catalog.Actor].State.(library.State), nil
}

// Uploads take songs that people bring; nil: nobody may bring any.
func (s *Server) Uploads() *catalog.Uploads { return s.bring }
