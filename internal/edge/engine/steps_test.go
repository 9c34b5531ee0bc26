package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// vertex is a finished vertex that took from second 0 to the given one.
func vertex(name string, second int, change ...func(*client.Vertex)) *client.Vertex {
	start, end := time.Unix(0, 0), time.Unix(int64(second), 0)
	v := &client.Vertex{Digest: digest.FromString(name), Name: name, Started: &start, Completed: &end}
	for _, c := range change {
		c(v)
	}
	return v
}

func cached(v *client.Vertex) { v.Cached = true }

func failing(message string) func(*client.Vertex) {
	return func(v *client.Vertex) { v.Error = message }
}

func TestStepRecordCached(t *testing.T) {
	tests := []struct {
		name     string
		vertices []*client.Vertex
		want     bool
	}{
		{"a step ran", []*client.Vertex{vertex("[1/2] COPY a b", 1, cached), vertex("[2/2] RUN x", 2)}, false},
		{"a step of a named stage ran", []*client.Vertex{vertex("[linux/amd64 build  1/12] RUN x", 2)}, false},
		{"all cached", []*client.Vertex{
			vertex("[internal] load build definition from Dockerfile", 1), vertex("[1/2] FROM docker.io/library/x", 1),
			vertex("[2/2] RUN x", 1, cached), vertex("exporting to image", 1), vertex("[auth] x token for y", 1),
		}, true},
		{"never started", []*client.Vertex{{Digest: "sha256:1", Name: "[1/1] RUN x"}}, true},
	}
	for _, test := range tests {
		steps := newStepRecord()
		steps.add(&client.SolveStatus{Vertexes: test.vertices})
		if got := steps.cached(); got != test.want {
			t.Errorf("%s: cached = %v, want %v", test.name, got, test.want)
		}
	}
	// A step's last report counts.
	steps := newStepRecord()
	steps.add(&client.SolveStatus{Vertexes: []*client.Vertex{vertex("[1/1] COPY a b", 1)}})
	steps.add(&client.SolveStatus{Vertexes: []*client.Vertex{vertex("[1/1] COPY a b", 1, cached)}})
	if !steps.cached() {
		t.Error("a step that was found in the cache in the end counts as run")
	}
}

func TestBlame(t *testing.T) {
	tests := []struct {
		name     string
		vertices []*client.Vertex
		err      string
		step     string // of the StepError
		other    bool   // no StepError
	}{
		{name: "a step", vertices: []*client.Vertex{vertex("[2/2] RUN x", 1, failing("exit code: 1"))}, err: "boom", step: "[2/2] RUN x"},
		{name: "the first of two", vertices: []*client.Vertex{
			vertex("[a 1/1] RUN x", 2, failing("exit code: 1")), vertex("[b 1/1] RUN y", 1, failing("exit code: 1")),
		}, err: "boom", step: "[b 1/1] RUN y"},
		{name: "not the one that was stopped", vertices: []*client.Vertex{
			vertex("[a 1/1] RUN x", 1, failing("process did not complete: context canceled")), vertex("[b 1/1] RUN y", 2, failing("exit code: 1")),
		}, err: "boom", step: "[b 1/1] RUN y"},
		{name: "an unreadable Dockerfile", err: "failed to solve: dockerfile parse error on line 2: unknown instruction: GRUN", step: ""},
		{name: "a step that nobody was told", err: "executor failed running [x]: exit code: 1", step: ""},
		{name: "a base image", vertices: []*client.Vertex{
			vertex("[internal] load metadata for x", 1, failing("dial tcp: refused")), vertex("[1/2] FROM x", 1, failing("dial tcp: refused")),
		}, err: "dial tcp: refused", other: true},
		{name: "a push", vertices: []*client.Vertex{vertex("exporting to image", 1, failing("401"))}, err: "401", other: true},
		{name: "the connection", err: "rpc error: unavailable", other: true},
	}
	for _, test := range tests {
		steps := newStepRecord()
		steps.add(&client.SolveStatus{Vertexes: test.vertices})
		cause := errors.New(test.err)
		b := &builder{concurrent: newConcurrentBuilds()}
		err := b.blame(t.Context(), build.Request{Name: "n"}, steps, cause)
		var step *build.StepError
		if errors.As(err, &step) == test.other {
			t.Errorf("%s: blame = %T %v", test.name, err, err)
			continue
		}
		if !errors.Is(err, cause) {
			t.Errorf("%s: %v does not wrap the engine's error", test.name, err)
		}
		if step != nil && (step.Step != test.step || step.Name != "n") {
			t.Errorf("%s: step = %q of %q, want %q", test.name, step.Step, step.Name, test.step)
		}
	}
}

func TestStepRecordLog(t *testing.T) {
	steps := newStepRecord()
	failed := vertex("[1/1] RUN x", 1, failing("exit code: 1"))
	steps.add(&client.SolveStatus{Vertexes: []*client.Vertex{failed}, Logs: []*client.VertexLog{
		{Vertex: failed.Digest, Stream: 1, Data: []byte("one\ntw")},
		{Vertex: digest.FromString("another"), Stream: 1, Data: []byte("foreign\n")},
		{Vertex: failed.Digest, Stream: 2, Data: []byte("error\n")},
		{Vertex: failed.Digest, Stream: 1, Data: []byte("o\n10%\r99%\r\nend")},
	}})
	_, log := steps.failed()
	if want := []string{"one", "error", "two", "99%", "end"}; !slices.Equal(log, want) {
		t.Errorf("log = %q, want %q", log, want)
	}
}

func TestLogTailKeepsTheEnd(t *testing.T) {
	tail := newLogTail()
	for i := range 100 {
		tail.write(1, []byte(fmt.Sprintf("%d\n", i)))
	}
	tail.write(1, []byte("rest"))
	lines := tail.last()
	if len(lines) != logLines || lines[0] != "81" || lines[logLines-1] != "rest" {
		t.Errorf("lines = %q", lines)
	}
	for range 100 {
		tail.write(2, []byte(strings.Repeat("x", 1000)))
	}
	lines = tail.last()
	if got := len(lines[len(lines)-1]); got != longestLine {
		t.Errorf("a long line is kept with %d bytes, want %d", got, longestLine)
	}
}

// A build that was not told of its failed step takes it from the build that
// was, also when that one is told later; it waits for no build that cannot
// know.
func TestConcurrentBuildFailed(t *testing.T) {
	const text = "executor failed running [x]: exit code: 1"
	all := newConcurrentBuilds()
	follow := func(name string) (*stepRecord, chan *client.SolveStatus, chan struct{}) {
		steps, statuses, ended := newStepRecord(), make(chan *client.SolveStatus), make(chan struct{})
		go func() {
			defer close(ended)
			all.follow(steps, statuses, func(*client.SolveStatus) {})
		}()
		statuses <- &client.SolveStatus{Vertexes: []*client.Vertex{vertex("[internal] load "+name, 1)}}
		return steps, statuses, ended
	}
	_, told, toldEnded := follow("told")
	own, statuses, ended := follow("own")
	close(statuses)
	<-ended

	found := make(chan string)
	go func() {
		v, log := all.failed(t.Context(), own, errors.New("failed to solve: "+text))
		if v == nil {
			found <- "nothing"
			return
		}
		found <- v.Name + ": " + strings.Join(log, ", ")
	}()
	failed := vertex("[1/1] RUN x", 1, failing(text))
	told <- &client.SolveStatus{
		Vertexes: []*client.Vertex{failed},
		Logs:     []*client.VertexLog{{Vertex: failed.Digest, Data: []byte("log\n")}},
	}
	if got := <-found; got != "[1/1] RUN x: log" {
		t.Errorf("found %q", got)
	}

	go func() {
		v, _ := all.failed(t.Context(), own, errors.New("executor failed running [other]: exit code: 1"))
		found <- fmt.Sprint(v == nil)
	}()
	close(told)
	<-toldEnded
	if got := <-found; got != "true" {
		t.Error("a step was blamed for another's error")
	}
	if v, _ := all.failed(t.Context(), own, errors.New("pushing: refused")); v != nil {
		t.Errorf("%s was blamed for a push", v.Name)
	}
}
