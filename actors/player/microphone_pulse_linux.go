package player

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/jfreymuth/pulse/proto"
)

var errNoMicrophone = errors.New("there is no microphone: plug one in, or set the offset by ear, beside a listener that is right")

// listenTo records the microphone of PulseAudio or PipeWire. Their latency says when a sample was at the microphone.
func listenTo(ctx context.Context, now func() int64, length time.Duration) (recordedSound, error) {
	client, conn, err := proto.Connect("")
	if err != nil {
		return recordedSound{}, fmt.Errorf("%w (there is no PulseAudio or PipeWire: %w)", errNoMicrophone, err)
	}
	defer conn.Close()
	heard, gone := make(chan []byte, 1024), make(chan struct{}, 1)
	client.Callback = func(said any) { // must not block
		switch said := said.(type) {
		case *proto.DataPacket:
			select {
			case heard <- slices.Clone(said.Data):
			default: // a reader that is a minute behind
			}
		case *proto.ConnectionClosed, *proto.RecordStreamKilled:
			select {
			case gone <- struct{}{}:
			default:
			}
		}
	}
	m := microphone{client: client, now: now}
	if err := m.open(); err != nil {
		return recordedSound{}, err
	}
	over, ask := time.NewTimer(length), time.NewTicker(100*time.Millisecond)
	defer over.Stop()
	defer ask.Stop()
	for {
		select {
		case data := <-heard:
			for ; len(data) > 1; data = data[2:] {
				m.pcm = append(m.pcm, float64(int16(binary.LittleEndian.Uint16(data))))
			}
		case <-ask.C:
			if err := m.ask(); err != nil {
				return recordedSound{}, err
			}
		case <-gone:
			return recordedSound{}, errors.New("the microphone has gone: try again")
		case <-ctx.Done():
			return recordedSound{}, ctx.Err()
		case <-over.C:
			return m.sound()
		}
	}
}

// microphone is one stream from the sound server.
type microphone struct {
	client *proto.Client
	now    func() int64
	index  uint32
	pcm    []float64
	began  []float64 // when it began, µs: each answer says it anew
}

func (m *microphone) open() error {
	props := proto.PropList{"application.name": proto.PropListString("conga"), "media.name": proto.PropListString("clicks")}
	if err := m.client.Request(&proto.SetClientName{Props: props}, &proto.SetClientNameReply{}); err != nil {
		return fmt.Errorf("the sound server does not record: %w", err)
	}
	named := os.Getenv("PULSE_SOURCE") // as libpulse does
	var source proto.GetSourceInfoReply
	if err := m.client.Request(&proto.GetSourceInfo{SourceIndex: proto.Undefined, SourceName: named}, &source); err != nil {
		return errNoMicrophone
	}
	if source.MonitorSourceIndex != proto.Undefined && named == "" { // it hears what is sent to a loudspeaker, not what comes out
		return errNoMicrophone
	}
	var stream proto.CreateRecordStreamReply
	err := m.client.Request(&proto.CreateRecordStream{
		SampleSpec: proto.SampleSpec{Format: proto.FormatInt16LE, Channels: 1, Rate: outputRate}, ChannelMap: proto.ChannelMap{proto.ChannelMono},
		SourceIndex: proto.Undefined, SourceName: source.SourceName, BufferMaxLength: proto.Undefined, BufferFragSize: outputRate / 50 * 2,
		AdjustLatency: true, NoMove: true, DirectOnInputIndex: proto.Undefined, Properties: props,
		ChannelVolumes: proto.ChannelVolumes{uint32(proto.VolumeNorm)},
	}, &stream)
	if err != nil {
		return fmt.Errorf("the microphone cannot be recorded: %w", err)
	}
	m.index = stream.StreamIndex
	return nil
}

// ask learns which sample is at the microphone now, or, of a loudspeaker's monitor, which one is heard now.
func (m *microphone) ask() error {
	var at proto.GetRecordLatencyReply
	before := m.now()
	wall := time.Now()
	err := m.client.Request(&proto.GetRecordLatency{
		StreamIndex: m.index, Time: proto.Time{Seconds: uint32(wall.Unix()), Microseconds: uint32(wall.Nanosecond() / 1000)},
	}, &at)
	if err != nil {
		return fmt.Errorf("the sound server does not answer: %w", err)
	}
	us := float64(at.WriteIndex/2)/framesPerUs + float64(at.Latency) - float64(at.MonitorLatency)
	m.began = append(m.began, float64(before+m.now())/2-us)
	return nil
}

// sound is what was heard. The answers scatter; their middle does not.
func (m *microphone) sound() (recordedSound, error) {
	if len(m.began) == 0 || len(m.pcm) == 0 {
		return recordedSound{}, errors.New("the microphone says nothing: is it muted or suspended?")
	}
	slices.Sort(m.began)
	return recordedSound{pcm: m.pcm, beganUs: math.Round(m.began[len(m.began)/2])}, nil
}
