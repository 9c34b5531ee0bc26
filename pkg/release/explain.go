package release

import (
	"context"
	"errors"
	"fmt"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/parallel"
)

// An Explanation says whether the registry has a target's image, and if not,
// what makes it stale.
type Explanation struct {
	Target      string `json:"target"`
	Fresh       bool   `json:"fresh"`
	Fingerprint string `json:"fingerprint"`
	// Image is the reference with the content tag; Digest is what it has at
	// the registry, if it is fresh.
	Image  string `json:"image"`
	Digest string `json:"digest,omitempty"`
	// Against is the image that the inputs were compared with, and Reasons are
	// what is different since.
	Against string   `json:"against,omitempty"`
	Reasons []string `json:"reasons"`
}

// Explain says of each image that the options select whether it would be built,
// and why. What it learns of base images is saved in the lock file. The error is
// about those of which it cannot be told; the others are explained all the same.
func (p *Project) Explain(ctx context.Context, e Edges, o Options) ([]Explanation, error) {
	prepared, err := p.prepareLocked(ctx, e, o)
	if err != nil {
		return nil, err
	}
	return explainAll(ctx, e.Registry, o.Destination, prepared)
}

// explainAll compares what each step is made of with what the registry's image
// of its version says that it was made of.
func explainAll(ctx context.Context, inspector Inspector, destination string, prepared *build.Prepared) ([]Explanation, error) {
	explanations, errs := make([]Explanation, len(prepared.Steps)), make([]error, len(prepared.Steps))
	parallel.Each(len(prepared.Steps), parallel.Lookups, func(i int) {
		if errs[i] = prepared.Steps[i].Err; errs[i] == nil {
			explanations[i], errs[i] = explain(ctx, inspector, destination, prepared.Steps[i])
		}
	})
	told := explanations[:0]
	for i, explanation := range explanations {
		if errs[i] == nil {
			told = append(told, explanation)
		}
	}
	return told, errors.Join(errs...)
}

func explain(ctx context.Context, inspector Inspector, destination string, step build.PreparedStep) (Explanation, error) {
	e := Explanation{Target: step.Name, Fresh: step.Fresh(), Fingerprint: step.Fingerprint, Image: step.Content, Digest: step.Existing, Reasons: []string{}}
	if e.Fresh {
		return e, nil
	}
	ref := step.References(destination)[0].String()
	if step.Published[ref] == "" {
		e.Reasons = append(e.Reasons, "the registry has no "+ref)
		return e, nil
	}
	e.Against = ref + "@" + step.Published[ref]
	image, err := inspector.Inspect(ctx, ref)
	if err != nil {
		return e, fmt.Errorf("reading what %s was made from: %w", ref, err)
	}
	label, ok := image.Labels[build.LabelInputs]
	if !ok {
		e.Reasons = append(e.Reasons, ref+" does not say what it was made from")
		return e, nil
	}
	since, err := build.ParseInputs(label)
	if err != nil {
		return e, fmt.Errorf("reading what %s was made from: %w", ref, err)
	}
	now, err := build.ParseInputs(step.Inputs.Label())
	if err != nil {
		return e, err
	}
	e.Reasons = append(e.Reasons, now.Changes(since, step.Context)...)
	if len(e.Reasons) == 0 {
		e.Reasons = append(e.Reasons, "the image of these inputs, "+step.Content+", is gone")
	}
	return e, nil
}
