package engine

import (
	"bytes"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
)

func TestRelabel(t *testing.T) {
	first, second := digest.FromString("first"), digest.FromString("second")
	status := &client.SolveStatus{
		Vertexes: []*client.Vertex{
			{Digest: first, Name: "[1/2] FROM x", ProgressGroup: &pb.ProgressGroup{Id: "g", Name: "group", Weak: true}},
			{Digest: second, Name: "[2/2] RUN y", Inputs: []digest.Digest{first}},
		},
		Statuses: []*client.VertexStatus{{ID: "s", Vertex: first}},
		Logs:     []*client.VertexLog{{Vertex: second, Data: []byte("line\n")}},
		Warnings: []*client.VertexWarning{{Vertex: second, Short: []byte("w")}},
	}
	a, b := relabel("a", "1", status), relabel("b", "2", status)

	if got := a.Vertexes[1].Name; got != "[a] [2/2] RUN y" {
		t.Errorf("name = %q", got)
	}
	if got := a.Vertexes[0].ProgressGroup; got.Id == b.Vertexes[0].ProgressGroup.Id || got.Name != "[a] group" || !got.Weak {
		t.Errorf("group = %v", got)
	}
	ownFirst, ownSecond := a.Vertexes[0].Digest, a.Vertexes[1].Digest
	if ownFirst == first || ownFirst == b.Vertexes[0].Digest || ownFirst == ownSecond {
		t.Error("equal vertices of two builds share a digest, or two of one build do")
	}
	if a.Vertexes[1].Inputs[0] != ownFirst || a.Statuses[0].Vertex != ownFirst ||
		a.Logs[0].Vertex != ownSecond || a.Warnings[0].Vertex != ownSecond {
		t.Error("a part of the status belongs to another vertex than before")
	}
	if err := ownFirst.Validate(); err != nil {
		t.Error(err)
	}
	if status.Vertexes[0].Digest != first || status.Vertexes[1].Inputs[0] != first || status.Vertexes[1].Name != "[2/2] RUN y" {
		t.Error("the original was changed")
	}
	if again := relabel("a", "1", status); !reflect.DeepEqual(again, a) {
		t.Error("a vertex gets another digest in a later report")
	}
}

// Builds that run at the same time, with equal steps, all show; what comes
// after the end is dropped.
func TestDisplay(t *testing.T) {
	var out bytes.Buffer
	d, err := newDisplay(Progress{Out: &out, Mode: ProgressPlain})
	if err != nil {
		t.Fatal(err)
	}
	start, end := time.Unix(0, 0), time.Unix(1, 0)
	status := &client.SolveStatus{
		Vertexes: []*client.Vertex{{Digest: digest.FromString("x"), Name: "[1/1] RUN x", Started: &start, Completed: &end}},
		Logs:     []*client.VertexLog{{Vertex: digest.FromString("x"), Data: []byte("hello\n"), Timestamp: start}},
	}
	var group sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		show := d.attach(name)
		group.Go(func() { show(status) })
	}
	group.Wait()
	late := d.attach("late")
	d.close()
	late(status)
	d.close()
	for _, want := range []string{"[a] [1/1] RUN x", "[b] [1/1] RUN x", "[c] [1/1] RUN x"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
	if got := strings.Count(out.String(), "hello"); got != 3 {
		t.Errorf("the step's output shows %d times, want 3:\n%s", got, out.String())
	}
	if strings.Contains(out.String(), "late") {
		t.Errorf("the output goes on after the end:\n%s", out.String())
	}
}

func TestDisplayModes(t *testing.T) {
	var out bytes.Buffer
	quiet, err := newDisplay(Progress{Out: &out, Mode: ProgressQuiet})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Unix(0, 0)
	quiet.attach("a")(&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: digest.FromString("x"), Name: "x", Started: &start}}})
	quiet.close()
	if out.Len() != 0 {
		t.Errorf("quiet wrote %q", out.String())
	}
	if _, err := newDisplay(Progress{}); err != nil {
		t.Errorf("no output: %v", err)
	}
	if _, err := newDisplay(Progress{Out: &out, Mode: ProgressTTY}); err == nil {
		t.Error("a buffer was taken for a terminal")
	}
	if _, err := newDisplay(Progress{Out: &out, Mode: "loud"}); err == nil || !strings.Contains(err.Error(), "quiet") {
		t.Errorf("unknown mode: %v", err)
	}
}

// What a step printed that failed is shown once, also where it looks like the
// rule that BuildKit's display draws before it repeats that.
func TestFailedStepShowsOnce(t *testing.T) {
	var out bytes.Buffer
	d, err := newDisplay(Progress{Out: &out, Mode: ProgressPlain})
	if err != nil {
		t.Fatal(err)
	}
	step, now := digest.FromString("step"), time.Now()
	show := d.attach("web")
	show(&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: step, Name: "RUN fail", Started: &now}}})
	show(&client.SolveStatus{Logs: []*client.VertexLog{{Vertex: step, Data: []byte("------\nthe reason\n"), Timestamp: now}}})
	show(&client.SolveStatus{Vertexes: []*client.Vertex{{Digest: step, Name: "RUN fail", Started: &now, Completed: &now, Error: "exit code: 3"}}})
	d.close()
	for _, text := range []string{"the reason", " ------\n", "ERROR: exit code: 3"} {
		if got := strings.Count(out.String(), text); got != 1 {
			t.Errorf("%q is shown %d times:\n%s", text, got, out.String())
		}
	}
}
