package check

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/dockerfile"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// Dockerfiles says what is wrong in the Dockerfiles of targets, which are all of the
// tree at root, for the first of the platforms. Pinned are the paths of the files
// that a release writes digests into.
func Dockerfiles(ctx context.Context, root string, targets []*discover.Target, platforms, pinned []string) ([]manifest.Finding, error) {
	if len(platforms) == 0 {
		platforms = []string{build.HostPlatform()}
	}
	steps, findings := planned(root, targets, platforms)
	configs := map[string]baseimage.Config{}
	said := map[manifest.Finding]bool{} // a Dockerfile can make several images
	for _, step := range steps {
		warnings, converted, err := dockerfile.Lint(ctx, step.Source, dockerfile.Options{
			Name: step.Dockerfile, Args: step.Args, Stage: step.Stage, Platform: platforms[0],
			Images: func(_ context.Context, image, _ string) (baseimage.Config, bool, error) {
				sibling, known := configs[step.Siblings[image]]
				return sibling, known, nil
			},
		})
		if err != nil {
			return nil, err
		}
		found := append(linted(root, step, warnings), latest(root, step)...)
		if converted != nil {
			configs[step.Name] = converted.Config
			found = append(found, unsettled(ctx, root, step, converted.Reads, pinned)...)
		}
		for _, f := range found {
			if !said[f] {
				said[f] = true
				findings = append(findings, f)
			}
		}
	}
	return findings, nil
}

// planned puts the targets in order. Where some cannot be, it says why, and the
// others are there all the same.
func planned(root string, targets []*discover.Target, platforms []string) ([]build.Step, []manifest.Finding) {
	plan, err := build.NewPlan(root, targets, targets, platforms)
	if err == nil {
		return plan.Steps, nil
	}
	var findings []manifest.Finding
	for _, err := range split(err) {
		findings = append(findings, broken(root, err))
	}
	var steps []build.Step
	seen := map[string]bool{}
	for _, t := range targets {
		plan, err := build.NewPlan(root, targets, []*discover.Target{t}, platforms)
		if err != nil {
			continue // said already
		}
		for _, step := range plan.Steps {
			if !seen[step.Name] {
				seen[step.Name] = true
				steps = append(steps, step)
			}
		}
	}
	return steps, findings
}

// split takes a joined error apart.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func broken(root string, err error) manifest.Finding {
	f := manifest.Finding{Severity: isError, Rule: RuleDockerfile, Message: err.Error()}
	var at *dockerfile.Error
	if errors.As(err, &at) {
		f.Position, f.Message = place(root, at.Name, at.Line), at.Message
	}
	return f
}

// place is a line of a file of the tree; 0 is the whole file.
func place(root, file string, line int) provenance.Position {
	p := provenance.Position{File: filepath.Join(root, filepath.FromSlash(file)), Line: line}
	if line > 0 {
		p.Column = 1
	}
	return p
}

// linted makes findings of a linter's warnings.
func linted(root string, step build.Step, warnings []dockerfile.Warning) []manifest.Finding {
	var findings []manifest.Finding
	for _, w := range warnings {
		rule, ok := native(w.Rule)
		if !ok || rule.Name == RuleRoot && step.Kind == discover.KindSupport {
			continue // such an image is built on, and not run
		}
		findings = append(findings, manifest.Finding{Severity: rule.Severity, Rule: rule.Name, Position: place(root, step.Dockerfile, w.Line), Message: w.Message})
	}
	return findings
}

// latest warns of images without a version that are not the tree's own.
func latest(root string, step build.Step) []manifest.Finding {
	var findings []manifest.Finding
	for _, use := range step.Images {
		if _, own := step.Siblings[use.Image]; !own && strings.HasSuffix(use.Full, ":latest") {
			findings = append(findings, manifest.Finding{
				Severity: isWarning, Rule: RuleLatest, Position: place(root, step.Dockerfile, max(1, use.Line)),
				Message: fmt.Sprintf("%s stands for %s:latest, which is another version one day: name the version", use.Image, use.Image),
			})
		}
	}
	return findings
}
