package release_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/rtbuild/rtbuild/internal/testfile"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/release"
)

var pushed = release.Options{Settings: build.Settings{Push: true}, Publish: true, Pin: true}

// A release builds, asks its gates, moves the tags and writes the pins; the next
// one finds all of that, and neither builds nor asks.
func TestRelease(t *testing.T) {
	s := newStage(t)
	g := &gate{}
	s.gates = []release.Gate{g}
	first, err := s.release(t.Context(), pushed)
	if err != nil {
		t.Fatal(err)
	}
	if got := statuses(first); got != "a:1 built, b:1 built" || first.Failed() != 0 || !first.Published || first.Engine != "recorder" {
		t.Errorf("%s, published %v, by %q", got, first.Published, first.Engine)
	}
	for i, image := range []string{"a", "b"} {
		if got := s.tag(image); got == "" || got != first.Targets[i].Digest || !strings.Contains(s.manifests(), "acme/"+image+":1@"+got) {
			t.Errorf("%s is at %s, built was %s, pinned is\n%s", image, got, first.Targets[i].Digest, s.manifests())
		}
		if want := s.host + "/acme/" + image + "@" + s.tag(image); g.seen[image+":1"] != want {
			t.Errorf("the gate was shown %s, want %s", g.seen[image+":1"], want)
		}
	}
	if !slices.Equal(g.asked, []string{"a:1", "b:1"}) || len(first.Pins.Files) != 2 {
		t.Errorf("the gate was asked for %q, %d files pinned", g.asked, len(first.Pins.Files))
	}

	second, err := s.release(t.Context(), pushed)
	if err != nil {
		t.Fatal(err)
	}
	if got := statuses(second); got != "a:1 fresh, b:1 fresh" || s.opened != 1 || len(g.asked) != 2 || len(second.Pins.Files) != 0 {
		t.Errorf("again: %s; %d engines opened, the gate asked for %q, %d files pinned", got, s.opened, g.asked, len(second.Pins.Files))
	}

	// What changed is built with all that is built from it.
	s.write("stable/b/file", "other\n")
	third, err := s.release(t.Context(), pushed)
	if err != nil {
		t.Fatal(err)
	}
	if got := statuses(third); got != "a:1 fresh, b:1 built" || third.Targets[0].Digest != first.Targets[0].Digest {
		t.Errorf("after a change of b: %s", got)
	}
	if got := reasons(third); got != "a:1 the registry has an image of these inputs, b:1 stable/b/file changed" {
		t.Errorf("reasons: %s", got)
	}
	if s.unlocked != 3 {
		t.Errorf("unlocked %d times of 3", s.unlocked)
	}
}

// Wherever a release fails, tags and manifests are as they were; what is at the
// registry already is found by the next one, which succeeds.
func TestReleaseFails(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name    string
		prepare func(*stage, *release.Options)
		// want are the targets' statuses, "" where there is no result; err is part
		// of the error, and failure of a target's.
		want, err, failure string
	}{
		{"another run", func(s *stage, _ *release.Options) { s.aloneErr = boom }, "", "boom", ""},
		{"an unknown name", func(_ *stage, o *release.Options) { o.Names = []string{"nosuch"} }, "", "nosuch", ""},
		{"a manifest that is invalid", func(s *stage, _ *release.Options) {
			s.write("stable/a/a.jsonnet", strings.Replace(manifestOfA, "runtime'", "nosuchphase'", 1))
		}, "", "nosuchphase", ""},
		{"a file that is missing", func(s *stage, _ *release.Options) { _ = os.Remove(filepath.Join(s.root, "stable/b/file")) }, "a:1 built, b:1 failed", "", "file"},
		{"a gate that cannot decide", func(s *stage, _ *release.Options) { s.gates = []release.Gate{&gate{readyErr: boom}} }, "", "boom", ""},
		{"no engine", func(s *stage, _ *release.Options) { s.openErr = boom }, "", "boom", ""},
		{"an engine that does not close", func(s *stage, _ *release.Options) { s.engine.closeErr = boom }, "", "closing the build engine: boom", ""},
		{"a parent that does not build", func(s *stage, _ *release.Options) { s.engine.fail = map[string]error{"a:1": boom} }, "a:1 failed, b:1 skipped", "", "boom"},
		{"a child that does not build", func(s *stage, _ *release.Options) { s.engine.fail = map[string]error{"b:1": boom} }, "a:1 built, b:1 failed", "", "boom"},
		{"a gate that refuses", func(s *stage, _ *release.Options) {
			s.gates = []release.Gate{&gate{refused: map[string]bool{"b:1": true}}}
		}, "a:1 built, b:1 failed", "", "answers 200 for a failure"},
		{"a gate that loses an answer", func(s *stage, _ *release.Options) { s.gates = []release.Gate{&gate{lose: 1}} }, "a:1 failed, b:1 failed", "", "1 answers for 2 images"},
		{"a tag that cannot be moved", func(s *stage, _ *release.Options) { s.untaggable = "acme/b:1" }, "a:1 built, b:1 built", "moving the tag", ""},
		{"a manifest that cannot be written", func(s *stage, _ *release.Options) {
			testfile.Unwritable(s.t, filepath.Join(s.root, "stable/b/b.jsonnet"))
		}, "a:1 built, b:1 built", "make it writable", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			// Both tags exist and point to something else.
			before := map[string]string{"a": push(t, s.host+"/acme/a:1"), "b": push(t, s.host+"/acme/b:1")}
			o := pushed
			c.prepare(s, &o)
			manifest := s.manifests()
			result, err := s.release(t.Context(), o)
			got := ""
			if result != nil {
				got = statuses(result)
				if result.Published {
					t.Error("published")
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q (error %v)", got, c.want, err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && err != nil {
				t.Errorf("error %v, want %q", err, c.err)
			}
			if failures := failuresOf(result); !strings.Contains(failures, c.failure) || result != nil && (c.failure != "") != (result.Failed() > 0) {
				t.Errorf("failures %q, want %q", failures, c.failure)
			}
			for image, was := range before {
				if now := s.tag(image); now != was {
					t.Errorf("the tag of %s moved from %s to %s", image, was, now)
				}
			}
			if now := s.manifests(); now != manifest {
				t.Errorf("the manifest changed to\n%s", now)
			}
			if s.aloneErr == nil && s.project.Tree.Valid() == nil && c.name != "an unknown name" && s.unlocked != 1 {
				t.Errorf("unlocked %d times", s.unlocked)
			}
		})
	}
}

func failuresOf(r *release.Result) string {
	var texts []string
	if r != nil {
		for _, out := range r.Targets {
			if out.Err != nil {
				texts = append(texts, out.Err.Error())
			}
		}
	}
	return strings.Join(texts, "\n")
}

// What somebody writes into a manifest meanwhile is kept.
func TestReleaseKeepsEdits(t *testing.T) {
	s := newStage(t)
	s.engine.during = func(build.Request) { s.write("stable/a/a.jsonnet", manifestOfA+"// edited\n") }
	if _, err := s.release(t.Context(), pushed); err != nil {
		t.Fatal(err)
	}
	if got := s.manifests(); !strings.Contains(got, "// edited\n") || s.pinned() != 2 {
		t.Errorf("the manifests are\n%s", got)
	}
}

// A lock file that lies in a build context is there when the image is hashed, in
// the run that writes it as in the next.
func TestReleaseLockInContext(t *testing.T) {
	s := newStage(t)
	s.pushBase()
	s.write("stable/a/a.jsonnet", strings.Replace(manifestOfA, "acme/a:1'", "acme/a:1', build:: { context: '../..' }", 1))
	s.write("stable/a/Dockerfile", "FROM "+s.host+"/base:1\nCOPY . /\n")
	s.write(".dockerignore", "*\n!rtbuild.lock\n")
	for _, want := range []string{"a:1 built", "a:1 fresh"} {
		o := pushed
		o.Names, o.Platforms = []string{"a"}, []string{"linux/amd64"}
		result, err := s.release(t.Context(), o)
		if err != nil || statuses(result) != want || len(result.Targets[0].Inputs.Files) != 1 {
			t.Fatalf("got %v, %s, want %s; files %v", err, statuses(result), want, result.Targets[0].Inputs.Files)
		}
	}
	if len(s.told) != 1 || !strings.HasPrefix(s.told[0], "locked") {
		t.Errorf("told %q", s.told)
	}
}

// What is built on an image that holds something of this machine stays here: it
// is refused before anything is built, also where the lock file has been told, and
// what is built on that with it.
func TestReleaseLocalOnly(t *testing.T) {
	s := newStage(t)
	base, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64",
		Config: v1.Config{Labels: map[string]string{"dev.rtbuild.local-only": "trusts 1 certificate of its maker"}}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.host+"/base:1", base)
	s.write("stable/a/Dockerfile", "FROM "+s.host+"/base:1\nCOPY file /\n")
	o := pushed
	o.Platforms, o.Jobs = []string{"linux/amd64"}, 2
	for range 2 {
		o.Destination = "registry.invalid"
		edges := s.edges(s.root)
		result, err := s.project.Release(t.Context(), edges, o)
		if err != nil {
			t.Fatal(err)
		}
		a := result.Targets[0]
		if statuses(result) != "a:1 failed, b:1 skipped" || s.opened != 0 {
			t.Errorf("%s, %d engines opened", statuses(result), s.opened)
		}
		if text := fmt.Sprint(a.Err); !strings.Contains(text, "registry.invalid") || !strings.Contains(text, "/base:1 trusts 1 certificate of its maker") || !strings.Contains(text, "--registry local") {
			t.Errorf("a: %v", a.Err)
		}
	}
	o.Destination = s.host
	result, err := s.project.Release(t.Context(), s.edges(s.root), o)
	if err != nil || statuses(result) != "a:1 built, b:1 built" {
		t.Errorf("to a registry of this machine: %s, %v", statuses(result), err)
	}
}

// A gate that refused is asked again by the next release, though nothing is
// built for it.
func TestReleaseAsksAgain(t *testing.T) {
	s := newStage(t)
	g := &gate{refused: map[string]bool{"b:1": true}}
	s.gates = []release.Gate{g}
	for range 2 {
		if result, err := s.release(t.Context(), pushed); err != nil || result.Failed() != 1 {
			t.Fatalf("%v, %+v", err, result)
		}
	}
	if len(s.engine.built) != 2 || len(g.asked) != 4 {
		t.Errorf("built %q, asked for %q", s.engine.built, g.asked)
	}
	g.refused = nil
	if result, err := s.release(t.Context(), pushed); err != nil || !result.Published || s.pinned() != 2 {
		t.Errorf("%v, %+v", err, result)
	}
}

// A run that is to end at the first failure asks nothing more after it.
func TestReleaseFailFast(t *testing.T) {
	s := newStage(t)
	g := &gate{}
	s.gates = []release.Gate{&gate{refused: map[string]bool{"a:1": true}}, g}
	o := pushed
	o.FailFast = true
	if result, err := s.release(t.Context(), o); err != nil || result.Failed() != 1 || len(g.asked) != 0 {
		t.Errorf("%v, %d failed, the second gate was asked for %q", err, result.Failed(), g.asked)
	}
}

// The report has what every table and annotation needs.
func TestResultReport(t *testing.T) {
	s := newStage(t)
	s.engine.fail = map[string]error{"b:1": &build.StepError{Name: "b:1", Step: "RUN false", Log: []string{"the end"}, Err: errors.New("exit code: 1")}}
	result, err := s.release(t.Context(), pushed)
	if err != nil {
		t.Fatal(err)
	}
	r := result.Report(func(err error) string { return "said: " + err.Error() })
	a, b := r.Targets[0], r.Targets[1]
	content := s.host + "/acme/a:1-" + a.Fingerprint[:12]
	if !a.Pushed || a.Digest == "" || !slices.Equal(a.References, []string{content}) || len(a.Tags) != 1 || a.Tags[0].Before != "" || a.UsedBy[0].Runtime != "a" {
		t.Errorf("%+v", a)
	}
	if b.Pushed || b.Error != "said: b:1: RUN false: exit code: 1" || !slices.Equal(b.Log, []string{"the end"}) || len(b.Tags) != 0 {
		t.Errorf("%+v", b)
	}
	if r.Totals.Built != 1 || r.Totals.Failed != 1 || r.Registry != s.host || r.Engine != "recorder" {
		t.Errorf("%+v", r)
	}
	s.engine.fail = nil
	if result, err = s.release(t.Context(), pushed); err != nil {
		t.Fatal(err)
	}
	for _, target := range result.Report(error.Error).Targets {
		if want := []string{s.host + "/acme/" + target.Name}; !slices.Equal(target.References, want) {
			t.Errorf("once published: %q, want %q", target.References, want)
		}
	}
}

// Explain tells what a release would do, and jobs those that have something to
// do.
func TestExplainAndJobs(t *testing.T) {
	s := newStage(t)
	state := func() string {
		t.Helper()
		edges, o := s.edges(s.root), pushed
		o.Destination = s.host
		explained, err := s.project.Explain(t.Context(), edges, o)
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := s.project.DueJobs(t.Context(), edges, o)
		if err != nil {
			t.Fatal(err)
		}
		due := map[string]bool{}
		for _, job := range jobs {
			for _, target := range job.Targets {
				due[target] = true
			}
		}
		var texts []string
		for _, e := range explained {
			texts = append(texts, fmt.Sprintf("%s %t %s", e.Target, e.Fresh, strings.Join(e.Reasons, "; ")))
		}
		return strings.ReplaceAll(strings.Join(texts, ", "), s.host, "HOST") + " | " + strings.Join(slices.Sorted(maps.Keys(due)), " ")
	}
	if got, want := state(), "a:1 false the registry has no HOST/acme/a:1, b:1 false the registry has no HOST/acme/b:1 | a:1 b:1"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if _, err := s.release(t.Context(), pushed); err != nil {
		t.Fatal(err)
	}
	if got, want := state(), "a:1 true , b:1 true  | "; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	s.write("stable/a/file", "other\n")
	if got := state(); !strings.HasPrefix(got, "a:1 false stable/a/file changed, b:1 false sibling acme/a:1 changed | a:1") {
		t.Errorf("after a change: %s", got)
	}
}
