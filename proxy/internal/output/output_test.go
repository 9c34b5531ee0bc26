package output

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func TestRelayKeepsLinesWhole(t *testing.T) {
	long := strings.Repeat("x", longestLine)
	for _, tt := range []struct{ name, in, want string }{
		{"lines", "a\nb\n", "a\nb\n"},
		{"no end", "a\nb", "a\nb\n"},
		{"empty", "", ""},
		{"too long", long + "y\n", long + "\ny\n"},
	} {
		var out bytes.Buffer
		sink, tail := NewSink(&out, Format{}), new(Tail)
		Relay(iotest.OneByteReader(strings.NewReader(tt.in)), sink, tail)
		sink.Close(time.Minute)
		if out.String() != tt.want {
			t.Errorf("%s: %q", tt.name, out.String())
		}
	}
}

func TestTail(t *testing.T) {
	tail := new(Tail)
	tail.add([]byte(strings.Repeat("old\n", tailSize)))
	tail.add([]byte("a\n\nb \nc"))
	if got := strings.Join(tail.Lines(3), "|"); got != "a|b|c" {
		t.Errorf("%q", got)
	}
	if got := strings.Join(new(Tail).Lines(3), "|"); got != "" {
		t.Errorf("%q", got)
	}
}

// stuck is a destination that nobody reads until it is opened.
type stuck struct {
	open chan struct{}
	mu   sync.Mutex
	data bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.open
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Write(p)
}

func TestAFloodNeitherBlocksNorSilencesTheProxy(t *testing.T) {
	dst := &stuck{open: make(chan struct{})}
	sink := NewSink(dst, Format{})
	flood, stop := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		Relay(flood, sink, nil)
	}()
	line := []byte(strings.Repeat("f", 1023) + "\n")
	go func() {
		for range 2048 {
			_, _ = stop.Write(line)
		}
		stop.Close()
	}()
	const lines = 1000
	for range lines {
		_, _ = sink.Write([]byte("access\n")) // must not block
	}
	if sink.Dropped() != 0 {
		t.Errorf("%d lines dropped", sink.Dropped())
	}
	close(dst.open)
	<-ended
	sink.Close(time.Minute)
	if got := strings.Count(dst.data.String(), "access\n"); got != lines {
		t.Errorf("%d lines", got)
	}
	if got := strings.Count(dst.data.String(), "f\n"); got != 2048 {
		t.Errorf("%d lines of the worker", got)
	}
}

func TestLinesAreDroppedWhenNobodyReads(t *testing.T) {
	dst := &stuck{open: make(chan struct{})}
	sink := NewSink(dst, Format{})
	line := bytes.Repeat([]byte("x"), 64<<10)
	for range 64 {
		_, _ = sink.Write(line)
	}
	if sink.Dropped() == 0 {
		t.Error("nothing dropped")
	}
	close(dst.open)
	sink.Close(time.Minute)
}
