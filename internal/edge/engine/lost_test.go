package engine

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestLost(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"BuildKit's connection", fmt.Errorf("solving: %w", status.Error(codes.Unavailable, "error reading from server: EOF")), true},
		{"a push's stream", fmt.Errorf("reading the engine's answer: %w", io.ErrUnexpectedEOF), true},
		{"the engine's words", status.Error(codes.Unknown, "failed to do request: EOF"), false},
		{"a registry's end", newPushError("r.example/a:1", "Put: EOF", io.EOF, false), false},
		{"something else", errors.New("no space left on device"), false},
	}
	for _, test := range tests {
		got := adviseLost(test.err)
		if lost(test.err) != test.want || strings.Contains(got.Error(), "run again") != test.want || !errors.Is(got, test.err) {
			t.Errorf("%s: got %v", test.name, got)
		}
	}
}
