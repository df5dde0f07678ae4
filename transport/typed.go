package transport

import "bufio"

// mark is the byte order mark, which begins a file that was saved as "UTF-8 with BOM". It is ignored.
const mark = "\ufeff"

// Telnet's commands (RFC 854). None of these bytes occurs in UTF-8 text.
const (
	telnetIAC  = 0xff // the next byte is a command
	telnetLow  = 0xec // the smallest command
	telnetSE   = 0xf0 // end of a subnegotiation
	telnetSB   = 0xfa // begin of one
	telnetWill = 0xfb // WILL, WONT, DO and DONT: an option follows
	telnetDont = 0xfe
)

// typed reads what a person types with any program. It skips a telnet client's negotiation, which may be
// ignored, and takes telnet's CR NUL as the end of a line.
type typed struct {
	r  *bufio.Reader
	in telnetState
}

// telnetState is what the previous bytes mean for the next one.
type telnetState int

const (
	telnetText    telnetState = iota
	telnetCommand             // after IAC
	telnetOption              // after WILL, WONT, DO or DONT
	telnetInside              // in a subnegotiation
	telnetEnding              // after an IAC in it
	telnetReturn              // after a CR
)

// Read returns what has come, and waits only for the first byte of text.
func (t *typed) Read(p []byte) (n int, err error) {
	for n < len(p) && (n == 0 || t.r.Buffered() > 0) {
		b, err := t.r.ReadByte()
		if err != nil {
			return n, err // a CR before it was no end of a line
		}
		switch {
		case t.in == telnetReturn && b != '\n' && b != 0, t.in == telnetCommand && b < telnetLow: // the byte before was text
			if err := t.r.UnreadByte(); err != nil {
				return n, err
			}
			b = map[telnetState]byte{telnetReturn: '\r', telnetCommand: telnetIAC}[t.in]
			t.in = telnetText
		case t.in == telnetReturn:
			b, t.in = '\n', telnetText
		case !t.takes(b):
			continue
		}
		p[n] = b
		n++
	}
	return n, nil
}

// takes reports whether the byte is text, and changes the state.
func (t *typed) takes(b byte) bool {
	switch t.in {
	case telnetCommand:
		switch {
		case b == telnetIAC: // the byte itself
			t.in = telnetText
			return true
		case b == telnetSB:
			t.in = telnetInside
		case b >= telnetWill && b <= telnetDont:
			t.in = telnetOption
		default:
			t.in = telnetText
		}
	case telnetOption:
		t.in = telnetText
	case telnetInside:
		if b == telnetIAC {
			t.in = telnetEnding
		}
	case telnetEnding:
		if t.in = telnetInside; b == telnetSE {
			t.in = telnetText
		}
	default:
		switch b {
		case telnetIAC:
			t.in = telnetCommand
		case '\r':
			t.in = telnetReturn
		default:
			return true
		}
	}
	return false
}
