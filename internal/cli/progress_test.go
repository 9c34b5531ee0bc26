package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
)

func TestLineWatcher(t *testing.T) {
	var out bytes.Buffer
	w := newLineWatcher(&out)
	w.start = time.Now().Add(-83 * time.Second)
	end := w.Begin(2)
	w.Started("go:1")
	w.Started("python:3")
	w.said = time.Now().Add(-time.Hour)
	w.still()
	w.still() // something was said just now
	w.Ended(outcome("python:3", build.StatusFailed, ""))
	w.Ended(outcome("go:1", build.StatusBuilt, "sha256:0123456789abcdef"))
	end()
	want := ` 1:23 images to build: 2
 1:23 building go:1 (1 of 2)
 1:23 building python:3 (2 of 2)
 1:23 still building go:1, python:3
 1:23 failed python:3 in 41s; 1 of 2 done
 1:23 built go:1 in 41s, sha256:0123456789ab; 2 of 2 done
`
	if got := out.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func outcome(name string, status build.Status, digest string) build.Outcome {
	step := build.PreparedStep{Step: build.Step{Target: &discover.Target{Name: name}}}
	return build.Outcome{PreparedStep: step, Status: status, Digest: digest, Duration: 41 * time.Second}
}
