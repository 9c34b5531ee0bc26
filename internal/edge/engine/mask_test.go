package engine

import (
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"
)

// However the output is cut into pieces, no secret shows, and everything else
// does, in order.
func TestMask(t *testing.T) {
	secrets := [][]byte{[]byte("hunter22\n"), []byte("hunter22-long"), []byte("  first line\r\nsecond line\n\nab\n"), []byte("terrible")}
	tests := []struct{ in, want string }{
		{"nothing to see\n", "nothing to see\n"},
		{"hunter22", "[secret]"},
		{"x hunter22\n", "x [secret]\n"},
		{"hunter22-long.", "[secret]."},
		{"hunter22-lost.", "[secret]-lost."},
		{"hunter22hunter22-long", "[secret][secret]"},
		{"hunter2", "hunter2"},
		{"hunterrible", "hun[secret]"},
		{"hhunter22", "h[secret]"},
		{"a\n  first line\nsecond line", "a\n  [secret]\n[secret]"},
		{"ab", "ab"}, // too short to be masked
	}
	for _, test := range tests {
		for size := 1; size <= len(test.in); size++ {
			if got := throughMask(newMask(secrets), test.in, size); got != test.want {
				t.Errorf("%q in pieces of %d: %q, want %q", test.in, size, got, test.want)
			}
		}
	}
}

// throughMask sends text through a mask in pieces, between those of another
// step, and then completes the step.
func throughMask(m *mask, text string, size int) string {
	vertex, other := digest.FromString("a"), digest.FromString("b")
	statuses := make(chan *client.SolveStatus)
	go func() {
		defer close(statuses)
		for ; len(text) > 0; text = text[min(size, len(text)):] {
			piece := []byte(text[:min(size, len(text))])
			statuses <- &client.SolveStatus{Logs: []*client.VertexLog{{Vertex: vertex, Data: piece}, {Vertex: other, Data: []byte("hunte")}}}
		}
		now := time.Now()
		statuses <- &client.SolveStatus{Vertexes: []*client.Vertex{{Digest: vertex, Completed: &now}}}
	}()
	var out string
	completed := false
	for s := range m.over(statuses) {
		for _, l := range s.Logs {
			if l.Vertex == vertex && !completed {
				out += string(l.Data)
			}
		}
		for _, v := range s.Vertexes {
			completed = completed || v.Digest == vertex
		}
	}
	return out
}

func TestMaskFlushesAtTheEnd(t *testing.T) {
	m := newMask([][]byte{[]byte("hunter22")})
	statuses := make(chan *client.SolveStatus, 1)
	statuses <- &client.SolveStatus{Logs: []*client.VertexLog{{Data: []byte("a hunt")}}}
	close(statuses)
	var out string
	for s := range m.over(statuses) {
		for _, l := range s.Logs {
			out += string(l.Data)
		}
	}
	if out != "a hunt" {
		t.Errorf("output = %q, want %q", out, "a hunt")
	}
}
