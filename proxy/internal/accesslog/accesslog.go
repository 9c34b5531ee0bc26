// Package accesslog prints one line per request.
package accesslog

import (
	"io"
	"strconv"
	"sync"
	"time"
)

// Entry is what is known of a request when it has ended.
type Entry struct {
	Time     time.Time // when the request came
	Method   string
	Path     string // percent-encoded, without the query, which may hold secrets
	Status   int
	Duration time.Duration
	Bytes    int64  // of the answer's body
	Note     string // why the proxy answered or cut the call, or empty
}

// Log writes entries to one writer, each with one Write.
type Log struct {
	out     io.Writer
	json    bool
	buffers sync.Pool
}

// New makes a log; json chooses JSON lines instead of text.
func New(out io.Writer, json bool) *Log {
	return &Log{out: out, json: json, buffers: sync.Pool{New: func() any { return new([]byte) }}}
}

// Add prints an entry.
func (l *Log) Add(e Entry) {
	buf := l.buffers.Get().(*[]byte)
	if l.json {
		*buf = appendJSON((*buf)[:0], e)
	} else {
		*buf = appendText((*buf)[:0], e)
	}
	_, _ = l.out.Write(*buf) // the access log has nowhere to report to
	l.buffers.Put(buf)
}

// appendTime prints as time.Time.AppendFormat does, without reading a layout
// for each line.
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append(appendDigits(b, year, 4), '-')
	b = append(appendDigits(b, int(month), 2), '-')
	b = append(appendDigits(b, day, 2), 'T')
	b = append(appendDigits(b, hour, 2), ':')
	b = append(appendDigits(b, minute, 2), ':')
	b = append(appendDigits(b, second, 2), '.')
	return append(appendDigits(b, t.Nanosecond()/int(time.Millisecond), 3), 'Z')
}

// appendDigits prints the last width digits of n, which is not negative.
func appendDigits(b []byte, n, width int) []byte {
	end := len(b) + width
	b = append(b, "0000"[:width]...)
	for i := end - 1; i >= end-width; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// appendText prints "2026-01-02T15:04:05.000Z GET /path 200 1.234ms 42", then
// the note in quotes, if any.
func appendText(b []byte, e Entry) []byte {
	b = appendTime(b, e.Time)
	b = append(b, ' ')
	b = append(b, e.Method...)
	b = append(b, ' ')
	b = append(b, e.Path...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, ' ')
	b = appendMillis(b, e.Duration)
	b = append(b, "ms "...)
	b = strconv.AppendInt(b, e.Bytes, 10)
	if e.Note != "" {
		b = append(b, ' ')
		b = strconv.AppendQuote(b, e.Note)
	}
	return append(b, '\n')
}

func appendJSON(b []byte, e Entry) []byte {
	b = append(b, `{"time":"`...)
	b = appendTime(b, e.Time)
	b = append(b, `","method":`...)
	b = appendString(b, e.Method)
	b = append(b, `,"path":`...)
	b = appendString(b, e.Path)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, `,"duration_ms":`...)
	b = appendMillis(b, e.Duration)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, e.Bytes, 10)
	if e.Note != "" {
		b = append(b, `,"note":`...)
		b = appendString(b, e.Note)
	}
	return append(b, "}\n"...)
}

func appendMillis(b []byte, d time.Duration) []byte {
	micros := max(0, d.Round(time.Microsecond)).Microseconds()
	b = append(strconv.AppendInt(b, micros/1000, 10), '.')
	return appendDigits(b, int(micros%1000), 3)
}

// appendString quotes for JSON; methods and paths are ASCII, notes are the
// proxy's own words.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
