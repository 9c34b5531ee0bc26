package output

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// longestLine is where a line without an end is broken.
const longestLine = 64 << 10

// tailSize is how much of a worker's stderr is remembered, in bytes.
const tailSize = 4 << 10

// Relay copies what a worker prints to the sink, whole lines at a time so that
// they never mix with the proxy's own, until src ends. tail, if not nil,
// remembers the end.
func Relay(src io.Reader, sink *Sink, tail *Tail) {
	buf := make([]byte, 0, longestLine)
	for {
		n, err := src.Read(buf[len(buf):cap(buf)])
		old := len(buf)
		buf = buf[:old+n]
		tail.add(buf[old:])
		if end := old + bytes.LastIndexByte(buf[old:], '\n') + 1; end > old {
			sink.writeWorker(buf[:end])
			buf = buf[:copy(buf, buf[end:])]
		}
		if len(buf) > 0 && (len(buf) == cap(buf) || err != nil) {
			sink.writeWorker(append(bytes.Clone(buf), '\n'))
			buf = buf[:0]
		}
		if err != nil {
			return
		}
	}
}

// Tail remembers the last bytes that a worker printed on stderr.
type Tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *Tail) add(p []byte) {
	if t == nil || len(p) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if extra := len(t.data) - tailSize; extra > 0 {
		t.data = t.data[:copy(t.data, t.data[extra:])]
	}
}

// Lines returns up to n last lines that are not empty.
func (t *Tail) Lines(n int) []string {
	t.mu.Lock()
	text := strings.ToValidUTF8(string(t.data), "?")
	t.mu.Unlock()
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \r\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}
