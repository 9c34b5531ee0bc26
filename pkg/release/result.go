package release

import (
	"errors"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/report"
)

// A Result is what became of a release: all that reports, tables and the exit
// code are made of.
type Result struct {
	Started time.Time
	Elapsed time.Duration
	// Destination is HOST[/PREFIX] that images were pushed to; empty: where the
	// manifests say.
	Destination string
	// Engine is the build engine, as people call it; empty if none was needed.
	Engine string
	// Targets are what became of each, in the order of the plan.
	Targets []build.Outcome
	// Published tells that the version tags point to the images, and Pins are the
	// digests that were written with that; nil if none were asked for.
	Published bool
	Pins      *pin.Patch
}

// Failed is how many targets have no image.
func (r *Result) Failed() int {
	failed := 0
	for _, out := range r.Targets {
		if !out.Status.Done() {
			failed++
		}
	}
	return failed
}

// Report describes the release for machines. say puts errors in words.
func (r *Result) Report(say func(error) string) *report.Report {
	var targets []report.Target
	for _, out := range r.Targets {
		targets = append(targets, r.target(out, say))
	}
	described := report.New(r.Started, r.Elapsed, targets)
	described.Registry, described.Engine = r.Destination, r.Engine
	return described
}

func (r *Result) target(out build.Outcome, say func(error) string) report.Target {
	t := report.Target{
		Name: out.Name, Dockerfile: out.Dockerfile, Kind: string(out.Kind),
		Status: out.Status, Reason: out.Reason, Fingerprint: out.Fingerprint, Digest: out.Digest, ImageID: out.ImageID,
		References: out.References, Platforms: out.Inputs.Platforms, Seconds: report.Seconds(out.Duration),
		Cached: out.Cached, Pushed: out.Content != "" && out.Status == build.StatusBuilt,
	}
	for _, field := range out.UsedBy {
		t.UsedBy = append(t.UsedBy, report.Field{Runtime: field.Runtime, Version: field.Version, Phase: string(field.Phase)})
	}
	if r.Published {
		t.References = nil
	}
	for _, ref := range out.Target.References(r.Destination) {
		if r.Published {
			t.References = append(t.References, ref.String())
		}
		if out.Content != "" && out.Status.Done() {
			t.Tags = append(t.Tags, report.Tag{Reference: ref.String(), Before: out.Published[ref.String()]})
		}
	}
	if out.Err != nil {
		t.Error = say(out.Err)
	}
	var step *build.StepError
	if errors.As(out.Err, &step) {
		t.Log = step.Log
	}
	return t
}
