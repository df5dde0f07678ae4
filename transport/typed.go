package transport

import "bufio"

// mark begins a file that was saved as "UTF-8 with BOM". It means nothing.
const mark = "\ufeff"

// What telnet says besides text (RFC 854). None of these bytes is in any UTF-8 text but the zero byte.
const (
	telnetIAC  = 0xff // the next byte is a command
	telnetLow  = 0xec // the least of them
	telnetSE   = 0xf0 // end of a subnegotiation
	telnetSB   = 0xfa // begin of one
	telnetWill = 0xfb // WILL, WONT, DO and DONT: an option follows
	telnetDont = 0xfe
)

// typed reads what a person types through whatever program: a telnet client's negotiation is
// read over, for it may be ignored, and its CR NUL is the end of a line. Nothing is kept of it.
type typed struct {
	r  *bufio.Reader
	in telnetState
}

// telnetState is what the bytes before mean for the next one.
type telnetState int

const (
	telnetText    telnetState = iota
	telnetCommand             // behind IAC
	telnetOption              // behind WILL, WONT, DO or DONT
	telnetInside              // of a subnegotiation
	telnetEnding              // behind an IAC in it
	telnetReturn              // behind a CR
)

// Read gives what has come, and waits only for the first byte of text.
func (t *typed) Read(p []byte) (n int, err error) {
	for n < len(p) && (n == 0 || t.r.Buffered() > 0) {
		b, err := t.r.ReadByte()
		if err != nil {
			return n, err // with a CR before: it ended nothing
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

// takes says whether the byte is text.
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
