package front

import (
	"bytes"
	"strconv"
)

// verdict is what a parser says of the bytes it was given.
type verdict int

const (
	partial  verdict = iota // more bytes are needed to tell
	fastPath                // an event loop can serve it
	slowPath                // net/http must: anything else, valid or not
)

// lineEnd ends the lines of a header.
const lineEnd = "\r\n"

// maxHead is the largest head of a message that is served here, in bytes.
const maxHead = 16 << 10

// cutHead finds the head of a message: its first line, the lines of its fields,
// and where its body begins. They are valid if the verdict is fastPath.
func cutHead(in []byte) (line, fields []byte, body int, v verdict) {
	end := bytes.Index(in, []byte(lineEnd+lineEnd))
	switch {
	case end > maxHead || end < 0 && len(in) > maxHead:
		return nil, nil, 0, slowPath
	case end < 0 && bareEnd(in): // other parsers see a head's end where this one does not
		return nil, nil, 0, slowPath
	case end < 0:
		return nil, nil, 0, partial
	}
	line, fields, ok := cutLine(in[:end+len(lineEnd)])
	if !ok {
		return nil, nil, 0, slowPath
	}
	return line, fields, end + 2*len(lineEnd), fastPath
}

// bareEnd says whether a line ends without a carriage return.
func bareEnd(in []byte) bool {
	for i := bytes.IndexByte(in, '\n'); i >= 0; {
		if i == 0 || in[i-1] != '\r' {
			return true
		}
		next := bytes.IndexByte(in[i+1:], '\n')
		if next < 0 {
			return false
		}
		i += 1 + next
	}
	return false
}

// appendLength appends the Content-Length header.
func appendLength(out []byte, length int) []byte {
	out = append(out, "Content-Length: "...)
	return append(strconv.AppendInt(out, int64(length), 10), lineEnd...)
}

// cutLine returns the first line of whole lines, without its end, and the rest.
// It is not ok if the line has control characters other than tabs.
func cutLine(lines []byte) (line, rest []byte, ok bool) {
	end := bytes.IndexByte(lines, '\n')
	if end < 1 || lines[end-1] != '\r' {
		return nil, nil, false
	}
	line = lines[:end-1]
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return nil, nil, false
		}
	}
	return line, lines[end+1:], true
}

// appendField appends a header line with its name in canonical form, and
// returns where in the result name and value are.
func appendField(out, line []byte) (all, name, value []byte, ok bool) {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return out, nil, nil, false
	}
	start := len(out)
	out = append(out, line[:colon]...)
	if !canonical(out[start:]) {
		return out[:start], nil, nil, false
	}
	out = append(out, ": "...)
	middle := len(out)
	out = append(out, bytes.Trim(line[colon+1:], " \t")...)
	end := len(out)
	out = append(out, lineEnd...)
	return out, out[start : start+colon], out[middle:end], true
}

// canonical changes a name as textproto.CanonicalMIMEHeaderKey does. It is not
// ok if there are characters other than letters, digits, "-" and "_".
func canonical(name []byte) bool {
	upper := true
	for i, c := range name {
		switch {
		case 'a' <= c && c <= 'z':
			if upper {
				name[i] = c - ('a' - 'A')
			}
		case 'A' <= c && c <= 'Z':
			if !upper {
				name[i] = c + ('a' - 'A')
			}
		case '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
		upper = c == '-'
	}
	return true
}

// maxDigits keeps numbers within an int.
const maxDigits = 9

func number(digits []byte) (n int, ok bool) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, len(digits) > 0 && len(digits) <= maxDigits
}
