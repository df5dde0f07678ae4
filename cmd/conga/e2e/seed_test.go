package e2e

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"conga/actors/player"
	"conga/cmd/internal/congatest"
	"conga/messages"
	"conga/messages/ports"
	"conga/transport/seed/seedtest"
)

// seedClient joins a client of the seed's kind, which ends with the test.
func seedClient(t testing.TB, addr string) *seedtest.Client {
	t.Helper()
	c, err := seedtest.Join(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Kill() })
	return c
}

// sounds are what sound has decoded: that takes a while, and the songs are few.
var sounds sync.Map // cut -> sounding

// sounding is how a seed client gets a song.
type sounding struct {
	format, sha256 string
	bytes          int
}

// sound is what a seed client must get of a song, and its format.
func sound(t testing.TB, c congatest.Cut) sounding {
	t.Helper()
	if known, ok := sounds.Load(c); ok {
		return known.(sounding)
	}
	format, samples := decoded(t, c)
	heard := sounding{format, congatest.Digest(samples), len(samples)}
	sounds.Store(c, heard)
	return heard
}

func decoded(t testing.TB, c congatest.Cut) (format string, samples []byte) {
	t.Helper()
	frames := c.Frames(t)
	rate := []int32{44100, 48000, 32000}[frames[2]>>2&3]
	song := &messages.SongChange{
		Number: 1, SampleRate: rate, PlayAtUnixUs: 1, Frames: int64(c.N), FramesPerChunk: messages.FramesPerChunk(rate),
	}
	decoder := player.NewDecoder()
	for at, number := 0, uint64(2); at < c.N; number++ {
		n, size := min(c.N-at, int(song.FramesPerChunk)), 0
		for range n {
			size += congatest.FrameSize(t, frames[size:])
		}
		item := messages.NewChunk(number, int64(at), frames[:size])
		item.Song = song
		for _, sample := range decoder.Samples(item) {
			samples = binary.LittleEndian.AppendUint16(samples, uint16(sample))
		}
		frames, at = frames[size:], at+n
	}
	return fmt.Sprintf("2/%d/%d", 2*rate, rate/1000*4), samples
}

// wholeSongs checks that what the client heard between two NS is what the songs sound like,
// sample by sample, and returns how many it was.
func wholeSongs(t testing.TB, c *seedtest.Client) int {
	t.Helper()
	_, _, heard, _ := c.Heard()
	whole := 0
	for _, song := range heard {
		if song.Early || song.Bytes == 0 {
			continue
		}
		known := false
		for _, cut := range congatest.Short {
			want := sound(t, cut)
			known = known || song.Format == want.format && song.Bytes == want.bytes && song.SHA256 == want.sha256
		}
		if !known {
			t.Errorf("a client heard %+v, which is no song", song)
		}
		whole++
	}
	return whole
}

// chunksOf is how many the cut is sent in.
func chunksOf(t testing.TB, c congatest.Cut) uint64 {
	t.Helper()
	frames := messages.FramesPerChunk([]int32{44100, 48000, 32000}[c.Frames(t)[2]>>2&3])
	return uint64((c.N + int(frames) - 1) / int(frames))
}

// rightSums checks a native's songs against the files.
func rightSums(t testing.TB, p *process) int {
	t.Helper()
	songs := p.dump(t).Live.Relay.Songs
	for _, song := range songs {
		cut, known := congatest.Short[song.Song]
		if !known || song.SHA256 != congatest.Digest(cut.Frames(t)) || song.Chunks != chunksOf(t, cut) {
			t.Errorf("%s: %+v is no song", p.name, song)
		}
	}
	return len(songs)
}

func TestE2E_SeedRequests(t *testing.T) {
	t.Parallel()
	first, err := ports.Free(4)
	if err != nil {
		t.Fatal(err)
	}
	server := launchServer(t, congatest.Long(t, "a.mp3", "it's b.mp3"), t.TempDir(), "--listen", fmt.Sprintf("127.0.0.1:%d", first))
	awaitPlaying(t, server)
	_, port := splitPort(t, server.requests())
	c := seedClient(t, server.requests())
	if want := [3]string{
		fmt.Sprintf("%-100s", "NS/2/88200/176"), fmt.Sprintf("%-100s", "HOST/127.0.0.1"), fmt.Sprintf("%-100s", fmt.Sprintf("PORT/%d", port+2)),
	}; c.Packets != want {
		t.Errorf("packets %q, want %q", c.Packets, want)
	}
	second := seedClient(t, server.requests())
	if second.Port != port+3 {
		t.Errorf("the second client is to listen on PORT+%d", second.Port-port)
	}
	for _, talk := range []struct{ verb, want string }{
		{"SONGLIST", `['a.mp3', "it's b.mp3"]`},
		{"REQUESTLIST", ""},
		{"PLAY,2", "Song it's b.mp3 has been requested!"},
		{"PLAY,it's b.mp3", "Song has already been requested"},
		{"PLAY,nosuch", "Song does not exist"},
		{"REQUESTLIST", "it's b.mp3"},
		{"PLAY,a.mp3", "Song a.mp3 has been requested!"},
	} {
		var got string
		var err error
		if wish, play := strings.CutPrefix(talk.verb, "PLAY,"); play {
			got, err = second.Play(wish)
		} else {
			got, err = second.List(talk.verb)
		}
		if err != nil || got != talk.want {
			t.Errorf("%s: %q, %v, want %q", talk.verb, got, err, talk.want)
		}
	}
	eventually(t, "both hear", func() string {
		one, _, _, err1 := c.Heard()
		two, _, _, err2 := second.Heard()
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if one == 0 || two == 0 {
			return fmt.Sprint(one, two)
		}
		return ""
	})
	if err := second.Leave(0); err != nil {
		t.Error(err)
	}
	eventually(t, "the chain is one", func() string {
		if chain := server.dump(t).chain(); len(chain) != 1 {
			return fmt.Sprint(chain)
		}
		return ""
	})
}

// Two clients of one host that come at the same moment are told apart.
func TestE2E_SeedCrowd(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Long(t, "a.mp3"), t.TempDir())
	awaitPlaying(t, server)
	const crowd = 6
	joined := make(chan *seedtest.Client, crowd)
	for range crowd {
		go func() {
			c, err := seedtest.Join(server.requests())
			if err != nil {
				t.Error(err)
			}
			joined <- c
		}()
	}
	ports := map[int]bool{}
	for range crowd {
		c := <-joined
		if c == nil {
			continue
		}
		t.Cleanup(func() { _ = c.Kill() })
		ports[c.Port] = true
		eventually(t, "a client hears", func() string {
			n, _, _, err := c.Heard()
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				return "nothing"
			}
			return ""
		})
	}
	if len(ports) != crowd {
		t.Errorf("%d clients listen on %d ports", crowd, len(ports))
	}
}

func splitPort(t testing.TB, addr string) (host string, n int) {
	t.Helper()
	host, text, _ := strings.Cut(addr, ":")
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatal(err)
	}
	return host, n
}

// flawless checks that the listener has lost nothing and heard nothing without proof, and no
// silence because of the chain: that a processor is too busy to play is not its fault.
func (p *process) flawless(t *testing.T) {
	t.Helper()
	r := p.dump(t).Live.Receipt
	t.Logf("%s heard %d items, silent %d ms", p.name, r.Heard, r.SilentMs)
	if r.Heard == 0 || r.Lost+r.Twice+r.Unproved+r.Lies != 0 {
		t.Errorf("%s: %+v", p.name, r)
	}
	for line := range strings.Lines(story(t, p, "PlayerUnderran")) {
		if !strings.Contains(line, "this program did not run") && !strings.Contains(line, "the device stood still") && !strings.Contains(line, "the decoder was too slow") {
			t.Errorf("%s was silent: %s", p.name, line)
		}
	}
}

// A client of 2016 plays on while its server is restarted. The server that comes back does not know
// it, and feeds it all the same when the listener that did leaves.
func TestE2E_SeedOverRestart(t *testing.T) {
	t.Parallel()
	first, err := ports.Free(4) // the server's, the native's, and the client's above it
	if err != nil {
		t.Fatal(err)
	}
	songs, data, at := congatest.Long(t, "a.mp3"), t.TempDir(), fmt.Sprintf("127.0.0.1:%d", first)
	server := launchServer(t, songs, data, "--listen", at)
	awaitPlaying(t, server)
	native := launchListener(t, server, "native", "--listen", fmt.Sprintf("127.0.0.1:%d", first+2)).awaitReady(t, listenerReady)
	native.hears(t)
	client := seedClient(t, at)
	hears(t, client, 30)
	if fed := native.dump(t).Live.Relay.Downstream; len(fed) != 1 || client.Port != first+3 {
		t.Fatalf("the listener plays to %q, the client listens on %d, want %d", fed, client.Port, first+3)
	}
	server.kill()
	server = launchServer(t, songs, data, "--listen", at)
	eventually(t, "the listener is back, the client's place is given up", func() string {
		if chain := server.dump(t).chain(); fmt.Sprint(chain) != "[native]" {
			return fmt.Sprint(chain)
		}
		return ""
	})
	native.end(t)
	now, _, _, _ := client.Heard()
	hears(t, client, now+100)
	if _, told, _, _ := client.Heard(); fmt.Sprint(told) != fmt.Sprintf("[HOST#127.0.0.1#PORT#%d]", first+2) {
		t.Errorf("it was told %q", told)
	}
}

// tones are songs of a second or so for a seed server: nobody needs a decoder for them.
func tones() [][]byte {
	var songs [][]byte
	for song := range 3 {
		var samples []byte
		for n := range 44100 + song*1000 {
			value := int16((n * (song + 3) * 97) % 12000)
			samples = binary.LittleEndian.AppendUint16(samples, uint16(value))
			samples = binary.LittleEndian.AppendUint16(samples, uint16(-value))
		}
		songs = append(songs, samples)
	}
	return songs
}

// In a seed server's chain conga is one of the clients.
func TestE2E_SeedServer(t *testing.T) {
	t.Parallel()
	songs := tones()
	server, err := seedtest.Serve([]string{"a.mp3", "b.mp3"}, songs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	native := launch(t, "native", "join", server.Addr, "--seed-dialect", "--name", "native",
		"--output", "null", "--listen", "127.0.0.1:0", "--data", "none").awaitReady(t, listenerReady)
	if _, port := splitPort(t, server.Addr); native.relay() != fmt.Sprintf("127.0.0.1:%d", port+2) {
		t.Errorf("it listens on %s, the server has said PORT+2 of %d", native.relay(), port)
	}
	native.hears(t) // before the next comes: the seed server tells two connections apart by their order
	below := seedClient(t, server.Addr)
	sums := map[string]bool{}
	for _, song := range songs {
		sums[congatest.Digest(song)] = true
	}
	eventually(t, "three songs", func() string {
		if got := native.dump(t).Live.Relay.Songs; len(got) < 4 {
			return fmt.Sprintf("native %+v", got)
		}
		if _, _, got, err := below.Heard(); len(got) < 5 || err != nil {
			return fmt.Sprintf("seed %+v, %v", got, err)
		}
		return ""
	})
	for _, song := range native.dump(t).Live.Relay.Songs[1:] { // the first may have begun before
		if !sums[song.SHA256] {
			t.Errorf("native has %+v, which is none of %v", song, sums)
		}
	}
	native.unhurt(t)
	if _, _, got, _ := below.Heard(); !sums[got[len(got)-1].SHA256] {
		t.Errorf("below has %+v, which is none of %v", got, sums)
	}
	for _, line := range []string{"SONGS", "PLAY b.mp3", "REQUESTS"} {
		native.say(t, line)
	}
	eventually(t, "answers", func() string {
		if got := native.out.String(); !strings.Contains(got, "1. a.mp3\n2. b.mp3\nSong b.mp3 requested!\n1. b.mp3\n") {
			return got
		}
		return ""
	})
	before, _, _, _ := below.Heard()
	native.end(t)
	eventually(t, "below hears on", func() string {
		now, told, _, err := below.Heard()
		if err != nil {
			t.Fatal(err)
		}
		if len(told) != 1 || now < before+500 {
			return fmt.Sprint(told, now-before)
		}
		return ""
	})
	if said := server.Said(); !slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, "DC,HOST,127.0.0.1,PORT,") }) {
		t.Errorf("the server has heard %q", said)
	}
}
