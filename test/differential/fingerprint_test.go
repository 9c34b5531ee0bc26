package differential

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// TestFingerprints edits every file of random cases, one at a time: those that
// the inputs list change the fingerprint, and no others do. It needs no engine.
func TestFingerprints(t *testing.T) {
	seed, count := number(t, "RTBUILD_E2E_SEED", 1), int(number(t, "RTBUILD_E2E_CASES", 20))
	for i := range count {
		g := newGenerator(seed, i, i%5 == 0)
		if strings.Contains(strings.Join(g.c.instructions, "\n"), "ext/") {
			continue // needs a registry
		}
		t.Run(g.c.name, func(t *testing.T) { checkEdits(t, g) })
	}
}

func checkEdits(t *testing.T, g *generator) {
	variants := append(g.harmless()[:3], g.changes()...)
	targets := []built{{"0", g.c.files, g.c}}
	for i, v := range variants {
		targets = append(targets, built{fmt.Sprint("0.", i), v.files, g.c})
	}
	steps := fingerprints(t, targets)
	base := steps[0]
	if base.Err != nil {
		t.Skip(base.Err) // whether an engine would say so is the other test's
	}
	for i, v := range variants {
		step := steps[i+1]
		if step.Err != nil && !v.equal {
			continue
		}
		_, listed := base.Inputs.Files[v.changed]
		switch same := step.Fingerprint == base.Fingerprint; {
		case step.Err != nil || v.equal && !same:
			t.Errorf("%s: another fingerprint, %v\n%v", v.what, step.Err, g.c)
		case strings.HasPrefix(v.what, "edit") && listed == same:
			t.Errorf("%s: the same fingerprint: %t, among the inputs: %t\n%v\ninputs %q", v.what, same, listed, g.c, slices.Sorted(maps.Keys(base.Inputs.Files)))
		}
	}
}

// noBases knows no base image.
type noBases struct{ build.Bases }

func (noBases) Digest(_ context.Context, ref reference.Reference) (string, error) {
	return "", fmt.Errorf("no registry has %s", ref)
}

// fingerprints are what the targets are made of, in their order.
func fingerprints(t *testing.T, targets []built) []build.PreparedStep {
	t.Helper()
	r := &repository{root: t.TempDir()}
	parentImages(t, r.root, "acme", "a shell\n")
	r.write(t, targets, 0)
	settings, err := config.Load(r.root)
	if err != nil {
		t.Fatal(err)
	}
	project, err := release.Open(t.Context(), jsonnet.New(), r.root, settings)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := project.Plan(nil)
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]build.PreparedStep{}
	for _, step := range (&build.Run{Bases: noBases{}, Settings: build.Settings{Platforms: []string{"linux/amd64"}}}).Fingerprint(t.Context(), plan).Steps {
		steps[step.Name] = step
	}
	var ordered []build.PreparedStep
	for _, target := range targets {
		step, ok := steps["case-"+target.name+":"+target.name]
		if !ok {
			t.Fatalf("%s is not in the plan: %q", target.name, slices.Sorted(maps.Keys(steps)))
		}
		ordered = append(ordered, step)
	}
	return ordered
}
