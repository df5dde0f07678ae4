package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// stepDown is where the API takes the wish that another server should lead a stream.
const stepDown = "$JS.API.STREAM.LEADER.STEPDOWN."

// reach returns the connection and the register's stream on it.
func (c *claims) reach(ctx context.Context) (on link, stream jetstream.Stream, err error) {
	for {
		if on, err = c.line.reach(ctx); err != nil {
			return on, nil, err
		}
		if stream, err = c.find(ctx, on); err != nil {
			return on, nil, err
		}
		of := stream.CachedInfo().Cluster
		if _, home := c.line.now(); of == nil || of.Leader == "" || of.Leader == home {
			return on, stream, nil
		}
		c.line.lives(of.Leader)
	}
}

// find finds the register's stream, or makes it: on one server of NATS, and each register on another one of those that have the log.
//
// NATS places a stream where it likes, and moves one with all that it holds only through replicas. So the stream begins with as
// many as the log. When the right server leads it, the others give up theirs. It is used from then on, and never moved: if that
// server is gone, the other registers are most.
func (c *claims) find(ctx context.Context, on link) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, c.store.try)
	defer cancel()
	within, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	stream, err := on.js.Stream(within, c.names.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = on.js.CreateStream(ctx, c.config())
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another conga was faster
			stream, err = on.js.Stream(ctx, c.names.stream)
		}
	}
	for err == nil && stream.CachedInfo().Config.Replicas > 1 {
		if err = c.settle(ctx, on, stream); err == nil {
			stream, err = on.js.Stream(ctx, c.names.stream)
		}
	}
	return stream, err
}

func (c *claims) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: c.names.stream, Description: "who leads the radio " + c.store.cfg.Radio + " of conga", Subjects: []string{c.names.subject + ">"},
		MaxMsgs: 1, Discard: jetstream.DiscardOld, Storage: jetstream.FileStorage, Replicas: c.store.Replicas(),
		RePublish: &jetstream.RePublish{Source: c.names.subject + ">", Destination: c.names.told + ">"},
		Metadata:  map[string]string{formatKey: format},
	}
}

// settle takes the next step towards one replica on the right server.
func (c *claims) settle(ctx context.Context, on link, stream jetstream.Stream) error {
	home, err := c.home(ctx, on)
	if err != nil {
		return err
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return err
	}
	if of := info.Cluster; of == nil || of.Leader == home {
		config := info.Config
		config.Replicas = 1
		_, err = on.js.UpdateStream(ctx, config)
		return err
	}
	if err := c.lead(ctx, on, home); err != nil {
		return err
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the server %s, which is to hold the register %s, does not lead it yet: %w", home, c.names.stream, ctx.Err())
	}
}

// home is the server that is to have the register.
func (c *claims) home(ctx context.Context, on link) (string, error) {
	info, err := on.js.Stream(ctx, c.store.names.stream)
	if err != nil {
		return "", err
	}
	of := info.CachedInfo().Cluster
	if of == nil {
		return "", nil
	}
	all := []string{of.Leader}
	for _, one := range of.Replicas {
		all = append(all, one.Name)
	}
	slices.Sort(all)
	return all[c.names.number%len(all)], nil
}

// lead asks for another leader of the stream.
func (c *claims) lead(ctx context.Context, on link, server string) error {
	wish, err := json.Marshal(map[string]any{"placement": map[string]string{"preferred": server}})
	if err == nil {
		_, err = on.conn.RequestWithContext(ctx, stepDown+c.names.stream, wish)
	}
	return err
}
