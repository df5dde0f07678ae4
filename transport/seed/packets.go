package seed

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// PacketSize is the length in bytes of each of the three packets that the server sends to a
// joining client of 2016, including spaces at the end.
const PacketSize = 100

// The words that begin the three packets, in the order in which they are sent.
const (
	PacketSong = "NS"   // NS/<width>/<rate>/<chunk>
	PacketHost = "HOST" // HOST/<host>
	PacketPort = "PORT" // PORT/<port>
)

// ErrPacket marks bytes that are not one of the three packets.
var ErrPacket = errors.New("not a packet of a join")

// Packet is one of the three: a word and its fields. Fields after the word's own are
// extensions, which a client of 2016 ignores.
type Packet struct {
	Word   string
	Fields []string
}

// Format is the format of the sound: bytes in a sample, samples in a second, bytes in a
// chunk. The program of 2016 plays stereo as one channel of twice the rate.
type Format struct{ Width, Rate, Chunk int }

// Join is what the three packets say together.
type Join struct {
	Format Format
	Host   string // the host to receive from
	// Port is the port to listen on for the next listener; the port to receive from
	// is Port-1.
	Port uint16
}

// Packets returns the three packets of the join, in order.
func (j Join) Packets() [3]Packet {
	return [3]Packet{
		{Word: PacketSong, Fields: []string{
			strconv.Itoa(j.Format.Width), strconv.Itoa(j.Format.Rate), strconv.Itoa(j.Format.Chunk),
		}},
		{Word: PacketHost, Fields: []string{j.Host}},
		{Word: PacketPort, Fields: []string{strconv.Itoa(int(j.Port))}},
	}
}

// ParseJoin reads the fields of the three packets; it ignores further fields. Every
// error is an ErrPacket.
func ParseJoin(packets [3]Packet) (Join, error) {
	song, host, port := packets[0], packets[1], packets[2]
	if song.Word != PacketSong || len(song.Fields) < 3 ||
		host.Word != PacketHost || len(host.Fields) < 1 ||
		port.Word != PacketPort || len(port.Fields) < 1 {
		return Join{}, fmt.Errorf("%s, %s, %s with their fields were due: %w", PacketSong, PacketHost, PacketPort, ErrPacket)
	}
	var numbers [3]int
	for i := range numbers {
		n, err := strconv.Atoi(song.Fields[i])
		if err != nil || n < 1 || n > 1<<20 {
			return Join{}, fmt.Errorf("field %q of the song: %w", song.Fields[i], ErrPacket)
		}
		numbers[i] = n
	}
	p, err := strconv.ParseUint(port.Fields[0], 10, 16)
	if err != nil || p < 2 {
		return Join{}, fmt.Errorf("port %q: %w", port.Fields[0], ErrPacket)
	}
	if host.Fields[0] == "" {
		return Join{}, fmt.Errorf("empty host: %w", ErrPacket)
	}
	return Join{
		Format: Format{Width: numbers[0], Rate: numbers[1], Chunk: numbers[2]},
		Host:   host.Fields[0],
		Port:   uint16(p),
	}, nil
}

// ReadJoin reads the three packets. If the stream ends inside them, it returns io.ErrUnexpectedEOF.
func ReadJoin(r io.Reader) (Join, error) {
	var packets [3]Packet
	for i := range packets {
		p, err := ReadPacket(r)
		if errors.Is(err, io.EOF) && i > 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return Join{}, err
		}
		packets[i] = p
	}
	return ParseJoin(packets)
}

// ReadPacket reads exactly PacketSize bytes. It returns io.EOF only before the first.
func ReadPacket(r io.Reader) (Packet, error) {
	var buf [PacketSize]byte
	if _, err := io.ReadFull(r, buf[:]); err != nil {
		return Packet{}, err
	}
	text := strings.TrimRight(string(buf[:]), " ")
	if !printableASCII(text) {
		return Packet{}, fmt.Errorf("bytes beyond printable ASCII: %w", ErrPacket)
	}
	word, rest, found := strings.Cut(text, "/")
	if !found || word != PacketSong && word != PacketHost && word != PacketPort {
		return Packet{}, fmt.Errorf("packet %q: %w", text, ErrPacket)
	}
	return Packet{Word: word, Fields: strings.Split(rest, "/")}, nil
}

// AppendPacket appends the packet's PacketSize bytes to dst. It returns ErrPacket and dst
// unchanged if the fields do not fit, or contain a slash, bytes beyond printable ASCII, or
// spaces at the very end.
func AppendPacket(dst []byte, p Packet) ([]byte, error) {
	for _, field := range p.Fields {
		if strings.Contains(field, "/") {
			return dst, fmt.Errorf("field %q: %w", field, ErrPacket)
		}
	}
	text := p.Word + "/" + strings.Join(p.Fields, "/")
	if len(text) > PacketSize || !printableASCII(text) || strings.HasSuffix(text, " ") || len(p.Fields) == 0 {
		return dst, fmt.Errorf("packet %q: %w", text, ErrPacket)
	}
	return fmt.Appendf(dst, "%-*s", PacketSize, text), nil
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
