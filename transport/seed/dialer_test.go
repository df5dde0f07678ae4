package seed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/transport"
)

// connected are the two ends of a loopback connection.
func connected(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l := listen(t, 0)
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	_ = near.SetDeadline(time.Now().Add(patience))
	_ = far.SetDeadline(time.Now().Add(patience))
	return near, far
}

// hearing connects a listener's end to conn, and says its HI.
func hearing(t *testing.T, conn net.Conn, names *Names, open *messages.OpenStream) net.Conn {
	t.Helper()
	d := &Dialer{Names: names, Dial: func(context.Context, string) (net.Conn, error) { return conn, nil }}
	ear, err := d.Connect(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	payload, err := proto.Marshal(open)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ear.Write(frame(messages.KindHi, payload)); err != nil {
		t.Fatal(err)
	}
	return ear
}

// natively reads frames until the end, as far as they are music or HI.
func natively(t *testing.T, r io.Reader) (opened *messages.StreamOpened, items []*messages.Item, leaving bool) {
	t.Helper()
	in := bufio.NewReader(r)
	var sounds messages.Sounds
	for {
		f, err := transport.ReadFrame(in)
		if errors.Is(err, io.EOF) {
			return opened, items, leaving
		}
		if err != nil {
			t.Fatal(err)
		}
		var item *messages.Item
		switch f.Kind {
		case messages.KindHi:
			opened = &messages.StreamOpened{}
			err = proto.Unmarshal(f.Payload, opened)
		case messages.KindSongChange:
			item, err = messages.ParseItem(f.Kind, f.Payload)
		case messages.KindSound:
			item, err = sounds.Add(f.Payload)
		case messages.KindLeaving:
			leaving = true
		case messages.KindHeartbeat:
		default:
			t.Fatalf("a frame of kind %s", f.Kind)
		}
		if err != nil {
			t.Fatalf("%s: %v", f.Kind, err)
		}
		if item != nil {
			items = append(items, item)
		}
	}
}

// What a Feeder plays to a seed client, and that passes on, a native hears with its numbers, its
// time, its song, and the sound as it was.
func TestDialer_Feeder(t *testing.T) {
	sent := append(song(t, 40, 44100, 4, 4, 1), song(t, 44, 48000, 4, 2)...)
	for _, c := range []struct {
		name string
		skip int // bytes of the stream that the listener comes too late for
		next uint64
	}{
		{"from the beginning", 0, 0},
		{"resumed", 0, 41},
		{"in the middle of a chunk", 2000, 0}, // to tell where it is; then PC 42
		{"in the middle, and has chunks", 2000, 42},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, far := connected(t)
			names := &Names{}
			names.Add(&messages.Playing{PlayAtUnixUs: 1 << 51, Song: &messages.Song{Name: "air.mp3", SampleRate: 44100, Frames: 9}})
			leaving, played := make(chan struct{}), make(chan struct{})
			feeder := &Feeder{
				Open: func(int64) transport.Cursor { return &tape{items: sent, over: played} }, Decoder: func() Decoder { return ramps{} },
				Now: func() int64 { return 0 }, Upstream: func() string { return "10.0.0.1:7001" }, Counters: &transport.Counters{},
			}
			fed := make(chan struct{})
			go func() {
				defer close(fed)
				feeder.Feed(t.Context(), &transport.Stranger{
					Conn: far, Reader: bufio.NewReader(far), Leaving: leaving, Tell: func(any) {},
				})
			}()
			// What a seed client between them would do with its reads does not matter here: the
			// bytes are its own.
			if c.skip > 0 {
				in := bufio.NewReader(near)
				for skipped := 0; skipped < c.skip; {
					f, err := transport.ReadFrame(in)
					if err != nil {
						t.Fatal(err)
					}
					skipped += len(f.Payload)
				}
				near = &readFrom{Conn: near, r: in}
			}
			ear := hearing(t, near, names, &messages.OpenStream{Next: c.next, Epoch: 3, Upstream: "sid"})
			defer ear.Close()
			got := make(chan string, 1)
			go func() {
				<-played
				close(leaving)
				<-fed
			}()
			go func() {
				opened, items, left := natively(t, ear)
				got <- check(sent, opened, items, left, c.next, c.skip > 0)
			}()
			select {
			case wrong := <-got:
				if wrong != "" {
					t.Error(wrong)
				}
			case <-time.After(patience):
				t.Fatal("waited in vain for the end")
			}
		})
	}
}

type readFrom struct {
	net.Conn
	r io.Reader
}

func (r *readFrom) Read(p []byte) (int, error) { return r.r.Read(p) }

func check(sent []*messages.Item, opened *messages.StreamOpened, items []*messages.Item, left bool, next uint64, late bool) string {
	first := uint64(41)
	if late {
		first = 42
	}
	switch {
	case opened == nil || opened.GetEpoch() != 3 || opened.GetNode().GetId() != "sid":
		return fmt.Sprintf("opened with %v", opened)
	case next == 0 && opened.GetFirst() != 0, next > 0 && opened.GetFirst() != first:
		return fmt.Sprintf("opened with first number %d", opened.GetFirst())
	case !left:
		return "no DC"
	}
	number := uint64(0)
	for _, item := range items {
		if item.Change != nil {
			want := sent[0].Change
			if item.Number == 44 {
				want = proto.CloneOf(sent[4].Change)
				want.Song = "" // nobody has told its name
			} else {
				want = proto.CloneOf(want)
				want.Frames = 9 // the news said so
			}
			if !proto.Equal(item.Change, want) {
				return fmt.Sprintf("song %v, want %v", item.Change, want)
			}
			if number > 0 {
				number++
			}
			continue
		}
		if number == 0 {
			number = first - 1
		}
		if number++; item.Number != number {
			return fmt.Sprintf("item %d where %d was due", item.Number, number)
		}
		was := sent[item.Number-40]
		if item.FirstFrame != was.FirstFrame || !bytes.Equal(item.Sound, ramps{}.Sound(was)) {
			return fmt.Sprintf("item %d has frame %d and %d bytes", item.Number, item.FirstFrame, len(item.Sound))
		}
	}
	if number != 46 {
		return fmt.Sprintf("the last item was %d", number)
	}
	return ""
}

// A native above is heard as it speaks.
func TestDialer_Native(t *testing.T) {
	near, far := connected(t)
	ear := hearing(t, near, &Names{}, &messages.OpenStream{})
	hi, err := transport.ReadFrame(bufio.NewReader(far))
	if err != nil || hi.Kind != messages.KindHi {
		t.Fatalf("heard %s, %v", hi.Kind, err)
	}
	want := append(frame(messages.KindHi, []byte("answer")), ramp(100_000)...)
	go func() {
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 777)
			if _, err := far.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		_ = far.Close()
	}()
	if got, err := io.ReadAll(ear); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes of %d, %v", len(got), len(want), err)
	}
}

// Whatever an upstream sends: what comes out is native frames, or an error, and an end.
func FuzzDialer(f *testing.F) {
	var good []byte
	good = append(good, frame(messages.KindSongChange, songPayload(formatOf(44100)))...)
	rest := ramp(4 * messages.SoundFrame)
	for _, n := range pieces(len(rest), place{number: 41, playAt: 1 << 50, rate: 44100}) {
		good = append(good, frame(messages.KindChunk, rest[:n])...)
		rest = rest[n:]
	}
	good = append(good, frame(messages.KindLeaving, []byte("HOST#h#PORT#7002"))...)
	f.Add(good, uint64(0))
	f.Add(good, uint64(41))
	f.Add([]byte("SC4   \x00\x00\x00\x00DC0   "), uint64(1))
	f.Add([]byte("HI3   abcSC"), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, next uint64) {
		payload, err := proto.Marshal(&messages.OpenStream{Next: next})
		if err != nil {
			t.Fatal(err)
		}
		e := &ear{names: &Names{}, in: bufio.NewReader(bytes.NewReader(b)), hello: frame(messages.KindHi, payload)}
		e.Conn = &readFrom{r: bytes.NewReader(nil)}
		out, err := io.ReadAll(e)
		if e.native {
			return
		}
		in := bufio.NewReader(bytes.NewReader(out))
		for n := 0; ; n++ {
			f, more := transport.ReadFrame(in)
			if more != nil {
				if !errors.Is(more, io.EOF) || errors.Is(more, io.ErrUnexpectedEOF) {
					t.Fatalf("%d bytes became no frames: %v, after %v", len(b), more, err)
				}
				return
			}
			if n == 0 && f.Kind != messages.KindHi {
				t.Fatalf("begins with %s", f.Kind)
			}
		}
	})
}
