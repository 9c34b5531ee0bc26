package build_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// ONBUILD instructions of what an image is FROM, a sibling or a base, read the
// context of the image, and are not handed on from there.
func TestOnBuildReads(t *testing.T) {
	plan := tree(t, map[string]string{
		"parent":   "FROM debian AS first\nONBUILD COPY never /\nFROM debian AS wanted\nONBUILD COPY app* /app/\nONBUILD RUN --mount=type=bind,source=tool,target=/t true\nFROM first\n",
		"child":    "FROM debian AS stage\nCOPY own /\nFROM acme/parent:1 AS last\nCOPY other /\nCOPY --from=stage /own /\n",
		"grand":    "FROM acme/child:1\n",
		"copier":   "FROM debian\nCOPY --from=acme/parent:1 /x /\n",
		"staged":   "FROM debian AS x\nONBUILD COPY own /\nFROM x\n",
		"onbase":   "FROM acme/onbuild\n",
		"copybase": "FROM debian\nCOPY --from=acme/onbuild /x /\n",
		"unknown":  "FROM acme/unknown\n",
		"both":     "FROM acme/onbuild AS x\nFROM acme/parent:1\nCOPY --from=x /conf /\n",
	})
	for _, step := range plan.Steps {
		if step.Name == "parent:1" {
			step.Stage = "wanted"
		}
		for _, file := range []string{"never", "app.txt", "app2.txt", "tool", "own", "other", "conf", "README"} {
			write(t, filepath.Join(plan.Root, step.Context, file), "x")
		}
	}
	// The stage is a target's, so what is wanted of it is planned again.
	var targets []*discover.Target
	for _, step := range plan.Steps {
		targets = append(targets, step.Target)
	}
	plan, err := build.NewPlan(plan.Root, targets, targets, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{"Dockerfile", "README", "app.txt", "app2.txt", "conf", "never", "other", "own", "tool"}
	want := map[string][]string{
		"parent:1":   nil,
		"child:1":    {"app.txt", "app2.txt", "other", "own", "tool"},
		"grand:1":    nil,
		"copier:1":   nil,
		"staged:1":   {"own"},
		"onbase:1":   {"conf"},
		"copybase:1": nil,
		"unknown:1":  all,
		"both:1":     {"app.txt", "app2.txt", "conf", "tool"},
	}
	run := build.Run{Bases: where{}, Registry: where{}}
	for _, step := range run.Fingerprint(t.Context(), plan).Steps {
		if step.Err != nil {
			t.Errorf("%s: %v", step.Name, step.Err)
		}
		got := slices.DeleteFunc(slices.Sorted(maps.Keys(step.Inputs.Files)), func(name string) bool { return name == "." })
		if !slices.Equal(got, want[step.Name]) {
			t.Errorf("%s reads %q, want %q", step.Name, got, want[step.Name])
		}
	}
}

// What an ONBUILD instruction takes from a stage of the child makes that stage
// one that the child needs, with the sibling that it is built from.
func TestOnBuildNeedsStage(t *testing.T) {
	plan := tree(t, map[string]string{
		"other":  "FROM debian\n",
		"parent": "FROM debian\nONBUILD COPY --from=compiled /bin /\n",
		"child":  "FROM acme/other:1 AS compiled\nFROM acme/parent:1\n",
	})
	child := plan.Steps[slices.IndexFunc(plan.Steps, func(s build.Step) bool { return s.Name == "child:1" })]
	if slices.Sort(child.DependsOn); !slices.Equal(child.DependsOn, []string{"other:1", "parent:1"}) {
		t.Errorf("the child depends on %q", child.DependsOn)
	}
	if plan.Steps[2].Name != "child:1" {
		t.Errorf("the child is not the last: %+v", plan.Steps)
	}
}

// A file that an ONBUILD instruction reads is named where it makes the image
// stale, and where it is missing.
func TestOnBuildChanges(t *testing.T) {
	root := t.TempDir()
	file := func(name string) string { return filepath.Join(root, "stable/child", name) }
	write(t, filepath.Join(root, "stable/parent/Dockerfile"), "FROM scratch\nONBUILD COPY app /\n")
	write(t, file("Dockerfile"), "FROM acme/parent:1\n")
	var targets []*discover.Target
	for _, name := range []string{"parent", "child"} {
		targets = append(targets, &discover.Target{
			Name: name, Repository: reference.MustParse("acme/" + name), Tags: []string{"1"},
			Context: "stable/" + name, Dockerfile: "stable/" + name + "/Dockerfile",
		})
	}
	run := build.Run{Bases: where{}, Registry: where{}}
	child := func() build.PreparedStep {
		t.Helper()
		plan, err := build.NewPlan(root, targets, targets, nil)
		if err != nil {
			t.Fatal(err)
		}
		return run.Fingerprint(t.Context(), plan).Steps[1]
	}
	if err := child().Err; err == nil || !strings.Contains(err.Error(), "stable/child/Dockerfile: ") || !strings.Contains(err.Error(), "the build reads app") {
		t.Errorf("without the file: %v", err)
	}
	write(t, file("app"), "1")
	before := child()
	write(t, file("README"), "x")
	if same := child(); same.Fingerprint != before.Fingerprint {
		t.Error("a README changes the fingerprint")
	}
	write(t, file("app"), "2")
	after := child()
	if got := after.Inputs.Changes(before.Inputs, "stable/child"); after.Fingerprint == before.Fingerprint || !slices.Equal(got, []string{"stable/child/app changed"}) {
		t.Errorf("changes %q", got)
	}
}
