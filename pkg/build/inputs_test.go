package build_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A fingerprint follows what the image is made of, and nothing else.
func TestFingerprint(t *testing.T) {
	root := t.TempDir()
	file := func(name string) string { return filepath.Join(root, "stable/rt", name) }
	write(t, file("Dockerfile.1"), "FROM debian\nCOPY server.py lib/*.py link /srv/\n")
	write(t, file("Dockerfile.2"), "FROM debian\n")
	write(t, file("server.py"), "1")
	write(t, file("lib/a.py"), "1")
	write(t, file("linked/x"), "1")
	if err := os.Symlink("linked", file("link")); err != nil {
		t.Fatal(err)
	}
	write(t, file(".dockerignore"), "lib/ignored.py\n")
	target := discover.Target{Name: "rt:1", Repository: reference.MustParse("acme/rt"), Tags: []string{"1"}, Context: "stable/rt", Dockerfile: "stable/rt/Dockerfile.1"}
	run := build.Run{Bases: where{}, Registry: where{}, Settings: build.Settings{Platforms: []string{"linux/amd64"}}}
	prepare := func() build.PreparedStep {
		t.Helper()
		targets := []*discover.Target{&target}
		plan, err := build.NewPlan(root, targets, targets, nil)
		if err != nil {
			t.Fatal(err)
		}
		step := run.Prepare(t.Context(), plan).Steps[0]
		if step.Err != nil || step.Fingerprint == "" {
			t.Fatalf("%+v", step)
		}
		return step
	}
	steps := []struct {
		name    string
		do      func() error
		changes []string // nil: the fingerprint stays
	}{
		{"a README", func() error { write(t, file("README.md"), "x"); return nil }, nil},
		{"another version's Dockerfile", func() error { write(t, file("Dockerfile.2"), "FROM alpine\n"); return nil }, nil},
		{"an ignored file", func() error { write(t, file("lib/ignored.py"), "x"); return nil }, nil},
		{"times", func() error { return os.Chtimes(file("server.py"), time.Unix(1, 0), time.Unix(1, 0)) }, nil},
		{"what a umask changes", func() error { return os.Chmod(file("server.py"), 0o664) }, nil},
		{"content", func() error { write(t, file("server.py"), "2"); return nil }, []string{"stable/rt/server.py changed"}},
		{"a file that the pattern matches", func() error { write(t, file("lib/b.py"), "1"); return nil }, []string{"stable/rt/lib/b.py is new"}},
		{"a file that it does not", func() error { write(t, file("lib/b.txt"), "1"); return nil }, nil},
		{"a file behind a link", func() error { write(t, file("linked/x"), "2"); return nil }, []string{"stable/rt/linked/x changed"}},
		{"an executable bit", func() error { return os.Chmod(file("lib/a.py"), 0o755) }, []string{"stable/rt/lib/a.py changed"}},
		{"the Dockerfile", func() error { write(t, file("Dockerfile.1"), "FROM debian\nCOPY server.py /srv/\n"); return nil },
			[]string{"its Dockerfile changed", "stable/rt/lib is gone", "stable/rt/lib/a.py is gone", "stable/rt/lib/b.py is gone", "stable/rt/link is gone", "stable/rt/linked is gone", "stable/rt/linked/x is gone"}},
		{"a comment and spaces", func() error {
			write(t, file("Dockerfile.1"), "# comment\nFROM   debian\nCOPY server.py \\\n /srv/\n")
			return nil
		}, nil},
		{"an argument", func() error { target.Args = map[string]string{"V": "1"}; return nil }, []string{"build argument V is new"}},
		{"its value", func() error { target.Args = map[string]string{"V": "2"}; return nil }, []string{"build argument V changed"}},
		{"a label", func() error { run.Labels = map[string]string{"a": "b"}; return nil }, []string{"label a is new"}},
		{"platforms", func() error { run.Platforms = []string{"linux/arm64"}; return nil }, []string{`its platforms changed from ["linux/amd64"] to ["linux/arm64"]`}},
	}
	before := prepare()
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		after := prepare()
		if (after.Fingerprint != before.Fingerprint) != (step.changes != nil) {
			t.Errorf("%s: the fingerprint changed %v", step.name, after.Fingerprint != before.Fingerprint)
		}
		if step.changes == nil && !maps.Equal(after.Labels, before.Labels) {
			t.Errorf("%s: the fingerprint stays, and the labels change from %q to %q", step.name, before.Labels, after.Labels)
		}
		then, err := build.ParseInputs(before.Labels[build.LabelInputs])
		if err != nil {
			t.Fatal(err)
		}
		now, err := build.ParseInputs(after.Labels[build.LabelInputs])
		if err != nil {
			t.Fatal(err)
		}
		if got := now.Changes(then, "stable/rt"); !slices.Equal(got, step.changes) {
			t.Errorf("%s: changes %q, want %q", step.name, got, step.changes)
		}
		before = after
	}
}
