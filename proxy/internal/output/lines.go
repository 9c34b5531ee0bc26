package output

import (
	"bytes"
	"encoding/json"
	"time"
)

// Format is how what workers print is passed on.
type Format struct {
	// JSON makes each line a value of its own, whatever is in it: an object
	// with the time, the stream and the text. A line that is JSON already is
	// text, too: nothing tells a function's own from one that a client has a
	// function print.
	JSON   bool
	Stream string // "stdout" or "stderr"
}

// line is a line of a worker, or a text of several.
type line struct {
	Time   string `json:"time"`
	Stream string `json:"stream"`
	Text   string `json:"text"`
}

// lines formats whole lines.
func (f Format) lines(p []byte) []byte {
	if !f.JSON {
		return p
	}
	var out bytes.Buffer
	for text := range bytes.Lines(p) {
		f.value(&out, string(bytes.TrimSuffix(text, []byte("\n"))))
	}
	return out.Bytes()
}

// text formats a text of several lines as one value.
func (f Format) text(s string) []byte {
	if !f.JSON {
		return append([]byte(s), '\n')
	}
	var out bytes.Buffer
	f.value(&out, s)
	return out.Bytes()
}

func (f Format) value(out *bytes.Buffer, text string) {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	_ = e.Encode(line{now, f.Stream, text}) // strings can be encoded, and memory is no writer that fails
}
