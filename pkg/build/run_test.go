package build_test

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
)

var family = map[string]string{
	"child":  "FROM acme/parent:1\nCOPY --from=debian /a /a\n",
	"parent": "FROM debian:sid\n",
	"other":  "FROM alpine\n",
}

// A child is built after its parent, on the digest that the parent has in
// this run; base images are taken from where the locator says.
func TestParentsComeFirst(t *testing.T) {
	engine := &recorder{}
	outcomes := do(t, build.Run{Settings: build.Settings{Push: true, Destination: "localhost:5000", Jobs: 4}}, engine, where{}, tree(t, family))
	if slices.Index(engine.order, "parent:1") > slices.Index(engine.order, "child:1") {
		t.Errorf("order %q", engine.order)
	}
	want := map[string]string{
		"docker.io/acme/parent:1":         "localhost:5000/acme/parent@" + digestOf("parent:1"),
		"docker.io/library/debian:latest": "mirror.example/debian@" + digestOf("debian"),
	}
	if got := engine.requests["child:1"]; !maps.Equal(got.Images, want) || string(got.Dockerfile) != family["child"] {
		t.Errorf("the child is made of %q by %q, want %q", got.Images, got.Dockerfile, want)
	}
	if got := engine.requests["other:1"]; len(got.Images) > 0 || !strings.HasPrefix(got.References[0], "localhost:5000/acme/other:1-") {
		t.Errorf("other: %+v", got)
	}
	if out := outcomes["child:1"]; out.Status != build.StatusBuilt || out.Digest != digestOf("child:1") {
		t.Errorf("child: %+v", out)
	}
}

// Without a push the child names its parent by reference, and the engine is
// told which image of this run that is.
func TestParentsWithoutPush(t *testing.T) {
	engine := &recorder{}
	do(t, build.Run{Settings: build.Settings{Jobs: 1}}, engine, where{}, tree(t, family))
	child := engine.requests["child:1"]
	if child.Parents["docker.io/acme/parent:1"].Digest != digestOf("parent:1") || child.Images["docker.io/acme/parent:1"] != "" {
		t.Errorf("child: images %q, parents %+v", child.Images, child.Parents)
	}
	if !engine.requests["parent:1"].Retain || engine.requests["other:1"].Retain {
		t.Error("what is retained is not what is needed")
	}
}

// One failure does not stop the others; what depends on it is skipped.
func TestFailureSkipsDependants(t *testing.T) {
	engine := &recorder{fail: map[string]bool{"parent:1": true}}
	outcomes := do(t, build.Run{Settings: build.Settings{Push: true, Jobs: 2}}, engine, where{}, tree(t, family))
	want := map[string]build.Status{"parent:1": build.StatusFailed, "child:1": build.StatusSkipped, "other:1": build.StatusBuilt}
	for name, status := range want {
		if outcomes[name].Status != status {
			t.Errorf("%s: %s, want %s", name, outcomes[name].Status, status)
		}
	}
	if err := outcomes["child:1"].Err; err == nil || !strings.Contains(err.Error(), "parent:1") {
		t.Errorf("the child's error does not name its parent: %v", err)
	}
}

// An image that somebody else pushed over ours between push and confirmation
// is a failure: the digest would be of an image that this run did not build.
func TestMovedTag(t *testing.T) {
	plan := tree(t, map[string]string{"other": "FROM alpine\n"})
	run := build.Run{Settings: build.Settings{Push: true, Jobs: 2}}
	engine := &recorder{}
	do(t, run, engine, where{}, plan)
	content := engine.requests["other:1"].References[0]
	engine = &recorder{}
	w := where{engine: engine}
	run.Builder, run.Bases, run.Registry = engine, w, w
	prepared := run.Prepare(t.Context(), plan)
	engine.requests = map[string]build.Request{}
	w.moved = map[string]bool{content: true}
	run.Registry = w
	if out := run.Do(t.Context(), prepared)[0]; out.Status != build.StatusFailed || !strings.Contains(out.Err.Error(), "somebody else pushed that tag") {
		t.Errorf("other: %+v", out)
	}
}

// What the registry has under its content tag is not built again, and hands
// its digest to its children all the same.
func TestFresh(t *testing.T) {
	plan := tree(t, family)
	engine := &recorder{}
	run := build.Run{Settings: build.Settings{Push: true, Destination: "localhost:5000", Jobs: 2}}
	do(t, run, engine, where{}, plan)
	existing := map[string]string{}
	for name, req := range engine.requests {
		existing[req.References[0]] = digestOf(name)
	}
	again := &recorder{}
	for name, out := range do(t, run, again, where{existing: existing}, plan) {
		if out.Status != build.StatusFresh || out.Digest != digestOf(name) {
			t.Errorf("%s: %+v", name, out)
		}
	}
	if len(again.order) > 0 {
		t.Errorf("built again: %q", again.order)
	}

	// The child's image is gone: it alone is built, on the parent's digest.
	for ref := range existing {
		if strings.Contains(ref, "/child:") {
			delete(existing, ref)
		}
	}
	again = &recorder{}
	do(t, run, again, where{existing: existing}, plan)
	if len(again.order) != 1 || !strings.HasSuffix(again.requests["child:1"].Images["docker.io/acme/parent:1"], digestOf("parent:1")) {
		t.Errorf("built %q: %q", again.order, again.requests["child:1"].Images)
	}
	run.Rebuild = true
	again = &recorder{}
	do(t, run, again, where{existing: existing}, plan)
	if len(again.order) != 3 {
		t.Errorf("with rebuilding: built %q", again.order)
	}
}

// An image that says what it was made from is known by its version tags alone,
// if they all point to it; else the content tag decides.
func TestRecognized(t *testing.T) {
	plan := tree(t, map[string]string{"other": "FROM alpine\n"})
	plan.Steps[0].Tags = []string{"1", "1.0"}
	run := build.Run{Bases: where{}, Settings: build.Settings{Push: true, Destination: "localhost:5000", Jobs: 1}}
	prepared := run.Fingerprint(t.Context(), plan)
	made := prepared.Steps[0].Fingerprint
	const one, two = "localhost:5000/acme/other:1", "localhost:5000/acme/other:1.0"
	content := one + "-" + made[:12]
	for name, test := range map[string]struct {
		existing, from map[string]string
		asked          int32
		digest         string
		found          []string
	}{
		"both tags": {
			map[string]string{one: "d", two: "d"}, map[string]string{one: made, two: made}, 2, "d", []string{one, two},
		},
		"one of them": {
			map[string]string{one: "d", two: "e", content: "c"}, map[string]string{one: made}, 3, "c", []string{content},
		},
		"one is missing": {
			map[string]string{one: "d", content: "d"}, map[string]string{one: made}, 3, "d", []string{content},
		},
		"two builds of the same inputs": {
			map[string]string{one: "d", two: "e"}, map[string]string{one: made, two: made}, 3, "", nil,
		},
		"other inputs": {
			map[string]string{one: "d", two: "d"}, map[string]string{one: "other", two: "other"}, 3, "", nil,
		},
		"nothing said": {
			map[string]string{one: "d", two: "d", content: "d"}, nil, 3, "d", []string{content},
		},
		"nothing there": {nil, nil, 3, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := where{existing: test.existing, from: test.from, asked: &atomic.Int32{}, engine: &recorder{}}
			run.Registry = w
			step := run.Prepare(t.Context(), plan).Steps[0]
			if step.Err != nil || step.Existing != test.digest || !slices.Equal(step.Found, test.found) || step.Content != content {
				t.Errorf("%q at %q (%v), want %q at %q", step.Existing, step.Found, step.Err, test.digest, test.found)
			}
			for _, ref := range []string{one, two} {
				if step.Published[ref] != test.existing[ref] {
					t.Errorf("%s points to %q, want %q", ref, step.Published[ref], test.existing[ref])
				}
			}
			if asked := w.asked.Load(); asked != test.asked {
				t.Errorf("%d questions, want %d", asked, test.asked)
			}
		})
	}
}

// A part of what is prepared, looked up afterwards, is what preparing that part
// gives: with all that it is built from, and nothing else.
func TestPreparedSubset(t *testing.T) {
	plan := tree(t, family)
	engine := &recorder{requests: map[string]build.Request{}}
	w := where{engine: engine, existing: map[string]string{"localhost:5000/acme/parent:1": digestOf("old")}}
	run := build.Run{Bases: w, Registry: w, Settings: build.Settings{Push: true, Destination: "localhost:5000"}}
	wanted := map[string]bool{"child:1": true}
	part := run.Fingerprint(t.Context(), plan).Subset(wanted)
	run.LookUp(t.Context(), part)
	direct := run.Prepare(t.Context(), plan.Subset(wanted))
	if len(part.Steps) != 2 || len(direct.Steps) != 2 {
		t.Fatalf("%d and %d steps, want 2", len(part.Steps), len(direct.Steps))
	}
	for i, step := range part.Steps {
		same := direct.Steps[i]
		if step.Name != same.Name || step.Content != same.Content || step.Content == "" || !maps.Equal(step.Published, same.Published) || step.Err != nil {
			t.Errorf("%+v, want %+v", step, same)
		}
	}
	if got := part.Steps[0].Published["localhost:5000/acme/parent:1"]; got != digestOf("old") {
		t.Errorf("the parent's version tag points to %q", got)
	}
}

func TestFailFast(t *testing.T) {
	engine := &recorder{fail: map[string]bool{"a:1": true}}
	plan := tree(t, map[string]string{"a": "FROM alpine\n", "b": "FROM acme/a:1\n", "c": "FROM acme/b:1\n"})
	for name, out := range do(t, build.Run{Settings: build.Settings{Push: true, FailFast: true, Jobs: 1}}, engine, where{}, plan) {
		want := build.StatusSkipped
		if name == "a:1" {
			want = build.StatusFailed
		}
		if out.Status != want {
			t.Errorf("%s: %s, want %s", name, out.Status, want)
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	engine := &recorder{requests: map[string]build.Request{}}
	w := where{engine: engine}
	run := build.Run{Builder: engine, Bases: w, Registry: w, Settings: build.Settings{Jobs: 2}}
	for _, out := range run.Do(ctx, run.Prepare(ctx, tree(t, family))) {
		if out.Status != build.StatusSkipped || len(engine.order) > 0 {
			t.Errorf("%s: %s, engine asked for %q", out.Name, out.Status, engine.order)
		}
	}
}

// A plan of some targets has what they are built from, and what is wrong with
// others keeps nobody from it.
func TestPlanOfPart(t *testing.T) {
	dockerfiles := map[string]string{
		"grandchild": "FROM acme/child:1\n", "child": "FROM acme/parent:1\n", "parent": "FROM scratch\nONBUILD COPY --from=acme/late:1 / /\n",
		"late": "FROM scratch\n", "broken": "FROM scratch\nNOSUCH\n", "one": "FROM acme/other:1\n", "other": "FROM acme/one:1\n", "gone": "",
	}
	root := t.TempDir()
	for name, source := range dockerfiles {
		write(t, root+"/stable/"+name+"/Dockerfile", source)
	}
	if err := os.Remove(root + "/stable/gone/Dockerfile"); err != nil {
		t.Fatal(err)
	}
	all := targetsIn(dockerfiles)
	for name, want := range map[string]string{
		"parent": "parent:1", "child": "late:1 parent:1 child:1", "grandchild": "late:1 parent:1 child:1 grandchild:1",
		"broken": "NOSUCH", "one": "built from each other", "gone": "no such Dockerfile",
	} {
		wanted := slices.DeleteFunc(slices.Clone(all), func(t *discover.Target) bool { return t.Name != name+":1" })
		plan, err := build.NewPlan(root, all, wanted, nil)
		if err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
			continue
		}
		var got []string
		for _, step := range plan.Steps {
			got = append(got, step.Name)
		}
		if slices.Sort(got); strings.Join(got, " ") != sorted(want) {
			t.Errorf("%s: %q, want %s", name, got, want)
		}
	}
}

func sorted(words string) string {
	list := strings.Fields(words)
	slices.Sort(list)
	return strings.Join(list, " ")
}
