package release_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/configmap"
	"github.com/rtbuild/rtbuild/pkg/contract"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// contains wants an error, or a text, with these parts.
func contains(t *testing.T, what string, got any, parts ...string) {
	t.Helper()
	text, _ := got.(string)
	if err, ok := got.(error); ok {
		text = err.Error()
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: got %q, want %q in it", what, text, part)
		}
	}
}

// What is wrong in a tree is found by Check, and keeps it from being released
// only where that matters.
func TestCheck(t *testing.T) {
	s := newStage(t)
	s.edges(s.root)
	if err := s.project.Releasable(nil); err != nil {
		t.Errorf("a sound tree: %v", err)
	}
	s.write("stable/b/Dockerfile.9", "FROM scratch\n")
	s.write("stable/b/b.jsonnet", `{ ID: 'b', versions: [{ name: 'b1', version: '1', images: [
  { phase: 'installation', image: 'python:3', command: 'x' },
  { phase: 'compilation', image: 'other/tool', command: 'x' },
  { phase: 'runtime', image: 'acme/b:1' },
] }, { name: 'b2', version: '2', images: [{ phase: 'runtime', image: 'acme/c:1' }] }, { name: 'b3', version: '3', images: [
  { phase: 'runtime', image: 'acme/gone:3', build:: null },
  { phase: 'installation', image: 'acme/lost:3', command: 'x' },
] }] }`)
	s.write("stable/a/Dockerfile", "FROM scratch\nCOPY\n")
	s.edges(s.root)
	findings, err := s.project.Check(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range findings {
		all = append(all, strings.TrimPrefix(f.String(), s.root+"/"))
	}
	contains(t, "findings", strings.Join(all, "\n"),
		"stable/a/a.jsonnet:2:30: warning: a 1 runtime: acme/a:1 has no digest; a release pins it (rtbuild all --push)",
		"stable/b/b.jsonnet:2:35: warning: b 1 installation: python:3 has no digest; it is a third party's, and no release pins it: rtbuild pin --external does",
		"warning: b 1 compilation: other/tool has no digest; it is a third party's, and no release pins it: rtbuild pin other/tool=sha256:… does",
		"stable/b/Dockerfile: error: undecided: could make acme/b for b 1 or acme/c for b 2",
		"warning: b 1 runtime: acme/b:1 has no digest; a release pins it once it is decided",
		"error: b 3 installation: acme/lost:3 has no digest and no Dockerfile makes it: add one, or pin it (rtbuild pin acme/lost:3=sha256:…)",
		"stable/b/Dockerfile.9: warning: makes no image that a manifest names; it is built only on request: rtbuild build stable/b/Dockerfile.9",
		"stable/a/Dockerfile:2:1: error: ")
	contains(t, "all", s.project.Releasable(nil), "acme/lost:3 has no digest and no Dockerfile", "acme/b:1 has no digest, and which Dockerfile makes it is undecided")
	contains(t, "no such name", s.project.Releasable([]string{"x"}), `no runtime or target is named "x"`)
	if err := s.project.Releasable([]string{"a"}); err != nil {
		t.Errorf("a alone: %v", err)
	}
	s.write("stable/b/b.jsonnet", "{ ID: 'b2' }")
	s.edges(s.root)
	contains(t, "an invalid tree", s.project.Releasable([]string{"a"}), `no function can be deployed with the ID "b2"`)
}

// The ConfigMap is the same whether or not things were located, and names what the
// tree builds elsewhere on request.
func TestConfigMap(t *testing.T) {
	s := newStage(t)
	s.edges(s.root)
	published := config.Published{Name: "n", Namespace: "s", Data: map[string]string{"k": "v"}}
	bare, err := manifest.Load(t.Context(), jsonnet.New(), manifest.Options{Root: s.root, Unlocated: true})
	if err != nil {
		t.Fatal(err)
	}
	full, err := release.Open(t.Context(), jsonnet.New(), s.root, &config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	printed := func(tree *manifest.Tree, replace map[string]string) string {
		made, err := configmap.New(tree.JSON, replace, configmap.Options{}.With(published))
		if err != nil {
			t.Fatal(err)
		}
		text, err := made.YAML()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	text := printed(bare, nil)
	if other := printed(full.Tree, full.Relocated("")); text != other {
		t.Errorf("got\n%s\nand\n%s", text, other)
	}
	contains(t, "ConfigMap", text, "name: \"n\"\n", "namespace: s\n", "k: v\n", `"acme/a:1"`)
	contains(t, "elsewhere", printed(full.Tree, full.Relocated("ghcr.io/x")), `"ghcr.io/x/acme/a:1"`)
}

// An audit tells what is there, and whether today's sources make it.
func TestAudit(t *testing.T) {
	s := newStage(t)
	audit := func() string {
		t.Helper()
		edges, o := s.edges(s.root), pushed
		o.Destination = s.host
		document, err := s.project.Audit(t.Context(), edges, o)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, a := range document.Images {
			current := "unknown"
			if a.Current != nil {
				current = map[bool]string{true: "current", false: "older"}[*a.Current]
			}
			parts = append(parts, a.Runtime+" "+map[bool]string{true: "sound", false: "gone"}[a.Sound()]+" "+current+" "+strings.Join(a.Platforms, ",")+a.Error)
		}
		return strings.Join(parts, ", ")
	}
	if got := audit(); got != "" {
		t.Errorf("nothing is pinned: %s", got)
	}
	if _, err := s.release(t.Context(), pushed); err != nil {
		t.Fatal(err)
	}
	if got, want := audit(), "a sound current linux/amd64, b sound current linux/amd64"; got != want {
		t.Errorf("released: %s", got)
	}
	s.write("stable/b/file", "other\n")
	if got, want := audit(), "a sound current linux/amd64, b sound older linux/amd64"; got != want {
		t.Errorf("edited: %s", got)
	}
	lost := strings.Replace(s.manifests(), "@sha256:", "@sha256:0", 1)
	at := strings.Index(lost, "@sha256:0") + len("@sha256:0") + 63
	s.write("stable/a/a.jsonnet", lost[:at]+lost[at+1:strings.Index(lost, "{ ID: 'b'")])
	if got, want := audit(), "a gone unknown , b sound older linux/amd64"; got != want {
		t.Errorf("another digest: %s", got)
	}
	for labels, want := range map[string]string{"": "does not say what it was made from", "x": "", "y": "is not made of today's sources"} {
		step := build.PreparedStep{Fingerprint: "x"}
		if got := step.Older(map[string]string{build.LabelFingerprint: labels}); got != want {
			t.Errorf("%q: got %q, want %q", labels, got, want)
		}
	}
}

// What the jobs of a matrix pushed is released by their reports: of this tree,
// and with what its tags pointed to before.
func TestCollect(t *testing.T) {
	s := newStage(t)
	edges, o := s.edges(s.root), pushed
	o.Destination = s.host
	prepared, err := s.project.Prepare(t.Context(), edges, o)
	if err != nil {
		t.Fatal(err)
	}
	digest := "sha256:" + strings.Repeat("1", 64)
	images := map[string]release.Pushed{}
	for _, step := range prepared.Steps {
		ref := step.References(s.host)[0].String()
		images[step.Name] = release.Pushed{Digest: digest, Fingerprint: step.Fingerprint, Before: map[string]string{ref: ""}}
	}
	moves, changes, err := s.project.Collect(s.host, images)
	if err != nil || len(moves) != 2 || moves[0].Ref != s.host+"/acme/a:1" || moves[0].Digest != digest || len(changes) != 2 || changes[1].Pointer != "/1/versions/0/images/0/image" {
		t.Errorf("%+v, %+v, %v", moves, changes, err)
	}
	if err := s.project.OfThisTree(t.Context(), edges, o, images); err != nil {
		t.Errorf("of this tree: %v", err)
	}
	images["a:1"] = release.Pushed{Digest: digest, Fingerprint: strings.Repeat("2", 64)}
	images["x:1"] = release.Pushed{Digest: digest}
	contains(t, "other inputs", s.project.OfThisTree(t.Context(), edges, o, images), "a:1 was made of other inputs than this tree has")
	_, _, err = s.project.Collect(s.host, images)
	contains(t, "other tree", err, "no target of this tree is named x:1", "the reports do not say of a:1 what its tag "+s.host+"/acme/a:1 pointed to")
}

func TestAssignments(t *testing.T) {
	s := newStage(t)
	s.edges(s.root)
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	for args, want := range map[string]string{
		"acme/a=" + one:                      "/0/versions/0/images/0/image",
		"acme/a:1=" + one + " acme/b=" + two: "/0/versions/0/images/0/image /1/versions/0/images/0/image",
		"acme/a=" + one + " acme/a:1=" + two: "acme/a and acme/a:1 give it different digests",
		"acme/a:2=" + one:                    "no manifest names an image acme/a:2; rtbuild list",
		"acme/a":                             `"acme/a" is not a REF=sha256:…`,
		"acme/a=sha256:1":                    `acme/a: "sha256:1" is not a digest`,
		"acme/A=" + one:                      `image reference "acme/A"`,
		"acme/a@" + one + "=" + one:          "write the repository, or repository:tag, without a digest",
	} {
		var assignments []release.Assignment
		var err error
		for _, arg := range strings.Fields(args) {
			var a release.Assignment
			if a, err = release.ParseAssignment(arg); err != nil {
				break
			}
			assignments = append(assignments, a)
		}
		var pointers []string
		if err == nil {
			changes, assignErr := s.project.PinAssigned(assignments)
			for _, change := range changes {
				pointers = append(pointers, change.Pointer)
			}
			err = assignErr
		}
		if err != nil {
			contains(t, args, err, want)
		} else if got := strings.Join(pointers, " "); got != want {
			t.Errorf("%s: got %s, want %s", args, got, want)
		}
	}
}

// Versions to verify are those that names select and, with a revision, whose
// images, functions or manifest changed since.
func TestSelectVersions(t *testing.T) {
	s := newStage(t)
	s.write("stable/a/contract/contract.x", "\n")
	s.write("stable/b/examples/hello.x", "\n")
	s.history = past{root: s.root}
	selected := func(o release.Options) string {
		t.Helper()
		versions, err := s.project.SelectVersions(t.Context(), s.edges(s.root), o)
		if err != nil {
			return err.Error()
		}
		var names []string
		for v := range maps.Keys(versions) {
			names = append(names, v.Runtime+v.Version)
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	s.edges(s.root)
	for _, test := range []struct {
		o    release.Options
		want string
	}{
		{release.Options{}, "a1 b1"},
		{release.Options{Names: []string{"a"}}, "a1"},
		{release.Options{Names: []string{"x"}}, `no runtime or target is named "x"; rtbuild list shows what there is`},
		{release.Options{Since: "same"}, ""},
		{release.Options{Since: "before-b"}, "b1"},
		{release.Options{Since: "before-a"}, "a1 b1"},
		{release.Options{Since: "before-a", Names: []string{"b"}}, "b1"},
	} {
		if got := selected(test.o); got != test.want {
			t.Errorf("%+v: got %s, want %s", test.o, got, test.want)
		}
	}
	before, err := s.project.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	s.write("stable/a/contract/contract.x", "other\n")
	after, err := s.project.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	a, b := release.VersionName{Runtime: "a", Version: "1"}, release.VersionName{Runtime: "b", Version: "1"}
	if before[a] == after[a] || before[b] != after[b] || before[a] == "" {
		t.Errorf("%v, then %v", before, after)
	}
}

// The contract gate verifies each version that runs a candidate, and a version
// that breaks the contract refuses all of its images.
func TestContractGate(t *testing.T) {
	s := newStage(t)
	s.write("stable/a/contract/contract.x", "\n")
	s.edges(s.root)
	reachErr, suiteErr := error(nil), error(nil)
	var seen []string
	result := contract.Result{Check: "get", Status: contract.StatusPassed}
	gate := &release.ContractGate{
		Project: s.project, Destination: s.host,
		Reach: func(context.Context) error { return reachErr },
		Suite: func(_ context.Context, subjects []contract.Subject) (*contract.Document, error) {
			var reports []*contract.SubjectReport
			for _, subject := range subjects {
				seen = append(seen, subject.String())
				for _, phase := range subject.Phases {
					seen = append(seen, phase.References...)
				}
				reports = append(reports, &contract.SubjectReport{Runtime: subject.Runtime, Version: subject.Version, Results: []contract.Result{result}})
			}
			return contract.NewDocument("x", time.Now(), 0, reports), suiteErr
		},
	}
	admission := release.Admission{Images: map[string]string{"a:1": s.host + "/acme/a@sha256:x"}}
	for _, target := range s.project.Discovery.Targets {
		admission.Candidates = append(admission.Candidates, release.Candidate{Target: target})
	}
	errs := gate.Admit(t.Context(), admission)
	if errs[0] != nil || !slices.Equal(seen, []string{"a 1", s.host + "/acme/a@sha256:x"}) {
		t.Errorf("%v; seen %q", errs, seen)
	}
	contains(t, "no functions", errs[1], "b 1 has no contract functions to verify it with")
	result.Status, result.Detail = contract.StatusFailed, "want 200, got 500"
	contains(t, "broken", gate.Admit(t.Context(), admission)[0], "a 1 breaks the contract: 1 of 1 checks failed: get: want 200, got 500")
	suiteErr = errors.New("no engine")
	for _, err := range gate.Admit(t.Context(), admission) {
		contains(t, "no suite", err, "no engine")
	}
	reachErr = errors.New("not reached")
	contains(t, "ready", gate.Ready(t.Context()), "not reached")
	// The image of a phase is looked for where a build leaves it, then where it is pinned.
	image := s.project.Tree.Runtimes[0].Versions[0].Images[0]
	image.Ref = image.Ref.WithDigest("sha256:" + strings.Repeat("1", 64))
	if got := s.project.References(image, s.host, false); len(got) != 2 || got[0] != s.host+"/acme/a:1" || !strings.HasPrefix(got[1], s.host+"/acme/a@sha256:1") {
		t.Errorf("%q", got)
	}
	if got := s.project.References(image, s.host, true); len(got) != 1 || !strings.Contains(got[0], "@sha256:1") {
		t.Errorf("pinned: %q", got)
	}
}

// Functions that cannot be read are an error, and not a version without any.
func TestDefinitionsUnreadable(t *testing.T) {
	s := newStage(t)
	s.edges(s.root)
	s.write("stable/a/contract", "a file where a folder should be\n")
	if _, err := s.project.Definitions(); err == nil {
		t.Error("no error")
	}
}
