package player

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jfreymuth/pulse/proto"
)

const (
	// pulseBuffer is how many bytes the sound server takes in advance, those in its device included.
	pulseBuffer = outputRate * bytesPerFrame / 10
	// pulseBite is how many bytes it asks for at least.
	pulseBite = outputRate * bytesPerFrame / 50
	// pulseBehind is how far the server may be ahead of what was written (it then plays silence) before this process
	// goes on from the server's place, because nobody hears what is written for the past.
	pulseBehind = -outputRate * bytesPerFrame / 2
)

// playPulse plays through PulseAudio, or through PipeWire in its place, by their own protocol: it needs no C library,
// and the server says when a frame will be heard, the device's and its cable's delay included.
func playPulse(f *fetcher) error {
	client, conn, err := proto.Connect("")
	if err != nil {
		return fmt.Errorf("%w: %w", errNoSoundServer, err)
	}
	defer conn.Close()
	s := &pulseStream{fetcher: f, client: client, wants: make(chan int, 256), gone: make(chan error, 8), moved: make(chan string, 8)}
	client.Callback = s.hear
	if err := s.open(); err != nil {
		return fmt.Errorf("the sound server does not play: %w", err)
	}
	return s.play()
}

// pulseStream is one stream of music to the sound server.
type pulseStream struct {
	*fetcher
	client *proto.Client
	index  uint32
	wants  chan int    // bytes that the server asks for
	gone   chan error  // why the stream has ended
	moved  chan string // the sink to which somebody has moved it
}

// hear takes the server's messages. The client's goroutine calls it, so it must not block.
func (s *pulseStream) hear(said any) {
	var err error
	switch said := said.(type) {
	case *proto.Request:
		select {
		case s.wants <- int(said.Length):
		default: // nothing was written for seconds: the stream is emptied, and what it lacked with it
		}
		return
	case *proto.PlaybackStreamMoved:
		select {
		case s.moved <- said.DestName:
		default:
		}
		return
	case *proto.PlaybackStreamKilled:
		err = errors.New("the sound server has ended the stream")
	case *proto.ConnectionClosed:
		err = errors.New("the sound server has gone")
	default:
		return
	}
	select {
	case s.gone <- err:
	default:
	}
}

func (s *pulseStream) open() error {
	props := proto.PropList{
		"application.name":      proto.PropListString("conga"),
		"application.icon_name": proto.PropListString("audio-x-generic"),
		"media.name":            proto.PropListString("radio"),
		"media.role":            proto.PropListString("music"),
	}
	if err := s.client.Request(&proto.SetClientName{Props: props}, &proto.SetClientNameReply{}); err != nil {
		return err
	}
	var stream proto.CreatePlaybackStreamReply
	err := s.client.Request(&proto.CreatePlaybackStream{
		SampleSpec: proto.SampleSpec{Format: proto.FormatInt16LE, Channels: 2, Rate: outputRate},
		ChannelMap: proto.ChannelMap{proto.ChannelLeft, proto.ChannelRight},
		SinkIndex:  proto.Undefined, SinkName: os.Getenv("PULSE_SINK"), // libpulse takes the variable, too
		BufferMaxLength: proto.Undefined, BufferTargetLength: pulseBuffer, BufferMinimumRequest: pulseBite,
		BufferPrebufferLength: 0, // it starts at once, and a gap is silence of its own length
		ChannelVolumes:        proto.ChannelVolumes{uint32(proto.VolumeNorm), uint32(proto.VolumeNorm)},
		AdjustLatency:         true,
		Properties:            props,
	}, &stream)
	if err != nil {
		return err
	}
	s.index = stream.StreamIndex
	s.opened(0)
	s.plays(stream.SinkName)
	s.wants <- int(stream.Missing)
	return nil
}

// play writes what the server asks for.
func (s *pulseStream) play() error {
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	block := make([]byte, blockFrames*bytesPerFrame)
	for {
		missing := 0
		select {
		case <-s.over:
			return nil
		case err := <-s.gone:
			return err
		case <-watch.C:
		case sink := <-s.moved:
			s.plays(sink)
		case missing = <-s.wants:
		}
		waiting, emptied, err := s.waiting()
		if err != nil {
			return err
		}
		if emptied { // what the server has asked for was for the past
			for missing = pulseBuffer; len(s.wants) > 0; {
				<-s.wants
			}
		}
		for missing >= bytesPerFrame {
			p := block[:min(len(block), missing/bytesPerFrame*bytesPerFrame)]
			if !s.fetch(p, max(0, waiting)) {
				return nil
			}
			if err := s.client.Send(s.index, p); err != nil {
				return fmt.Errorf("the sound server has gone: %w", err)
			}
			missing -= len(p)
			waiting += len(p) / bytesPerFrame
		}
	}
}

// waiting is how many frames will be heard before the next one that is written. emptied: so much was missing that the
// stream goes on from now.
func (s *pulseStream) waiting() (frames int, emptied bool, err error) {
	var at proto.GetPlaybackLatencyReply
	now := time.Now()
	err = s.client.Request(&proto.GetPlaybackLatency{
		StreamIndex: s.index, Time: proto.Time{Seconds: uint32(now.Unix()), Microseconds: uint32(now.Nanosecond() / 1000)},
	}, &at)
	if err != nil {
		return 0, false, fmt.Errorf("the sound server does not answer: %w", err)
	}
	written := at.WriteIndex - at.ReadIndex
	if emptied = written < pulseBehind; emptied {
		if err := s.client.Request(&proto.FlushPlaybackStream{StreamIndex: s.index}, nil); err != nil {
			return 0, false, err
		}
		written = 0
	}
	return int(written)/bytesPerFrame + int(at.Latency)*outputRate/1_000_000, emptied, nil
}
