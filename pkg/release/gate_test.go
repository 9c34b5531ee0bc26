package release_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// list is a gate that refuses by target's name, and notes what it was asked.
type list struct {
	refused map[string]bool
	asked   []release.Candidate
	calls   int
}

func (l *list) Admit(_ context.Context, candidates []release.Candidate) []error {
	l.calls++
	l.asked = candidates
	errs := make([]error, len(candidates))
	for i, c := range candidates {
		if l.refused[c.Target.Name] {
			errs[i] = errors.New("answers 200 for a failure")
		}
	}
	return errs
}

// verified is a run of one target for each way in which an image can stand to
// the registry and to the gate.
func verified(gate release.Gate) map[string]build.Outcome {
	const place = "localhost:5000"
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	prepared := &build.Prepared{}
	var outcomes []build.Outcome
	add := func(name string, status build.Status, tags []string, published ...string) {
		target := &build.Target{Name: name, Repository: reference.MustParse("acme/" + name), Tags: tags}
		step := build.PreparedStep{Step: build.Step{Target: target}, Content: place + "/acme/" + name + ":content", Published: map[string]string{}}
		for i, ref := range target.References(place) {
			step.Published[ref.String()] = published[i]
		}
		prepared.Steps = append(prepared.Steps, step)
		outcomes = append(outcomes, build.Outcome{Target: target, Status: status, Digest: digest("a")})
	}
	add("built", build.StatusBuilt, []string{"1"}, "")
	add("fresh", build.StatusFresh, []string{"1"}, digest("b"))
	add("released", build.StatusFresh, []string{"1", "2"}, digest("a"), digest("a"))
	add("half-released", build.StatusFresh, []string{"1", "2"}, digest("a"), "")
	add("failed", build.StatusFailed, []string{"1"}, "")
	add("skipped", build.StatusSkipped, []string{"1"}, "")
	release.Verify(context.Background(), gate, place, prepared, outcomes)
	byName := map[string]build.Outcome{}
	for _, out := range outcomes {
		byName[out.Target.Name] = out
	}
	return byName
}

// A gate is asked for what is not released, whether it was built now or
// before, and what it refuses fails.
func TestVerify(t *testing.T) {
	gate := &list{refused: map[string]bool{"fresh": true}}
	outcomes := verified(gate)
	var asked []string
	for _, c := range gate.asked {
		asked = append(asked, c.Target.Name)
		if c.Ref != "localhost:5000/acme/"+c.Target.Name+":content" || c.Digest != outcomes[c.Target.Name].Digest {
			t.Errorf("asked for %+v", c)
		}
	}
	if want := []string{"built", "fresh", "half-released"}; !slices.Equal(asked, want) || gate.calls != 1 {
		t.Errorf("asked for %q in %d calls, want %q in one", asked, gate.calls, want)
	}
	want := map[string]build.Status{
		"built": build.StatusBuilt, "fresh": build.StatusFailed, "released": build.StatusFresh,
		"half-released": build.StatusFresh, "failed": build.StatusFailed, "skipped": build.StatusSkipped,
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got := outcomes[name].Status; got != want[name] {
			t.Errorf("%s: %s, want %s", name, got, want[name])
		}
	}
	if err := outcomes["fresh"].Err; err == nil || err.Error() != "verifying localhost:5000/acme/fresh:content: answers 200 for a failure" {
		t.Errorf("error %v", err)
	}
}

// short is a gate that lost answers.
type short struct{}

func (short) Admit(_ context.Context, candidates []release.Candidate) []error {
	return make([]error, len(candidates)-1)
}

func TestVerifyMissingAnswer(t *testing.T) {
	outcomes := verified(short{})
	for _, name := range []string{"built", "fresh", "half-released"} {
		if outcomes[name].Status != build.StatusFailed {
			t.Errorf("%s: %s, want failed", name, outcomes[name].Status)
		}
	}
}
