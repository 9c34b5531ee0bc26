package build

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/rtbuild/rtbuild/pkg/dockerfile"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A Status is how a target fared.
type Status string

const (
	// StatusBuilt means that the image is built and, if asked for, pushed and confirmed.
	StatusBuilt Status = "built"
	// StatusFailed means that it is not.
	StatusFailed Status = "failed"
	// StatusSkipped means that it was not tried, because an image that it is built from
	// failed or the run was interrupted.
	StatusSkipped Status = "skipped"
)

// An Outcome is what became of a target.
type Outcome struct {
	Target *Target
	Status Status
	// Digest is the manifest's digest: the registry's word after a push, else
	// the engine's, which may not know it.
	Digest string
	// ImageID is the digest of the image's configuration, where known.
	ImageID string
	// References are the full references that the image has.
	References []string
	// Cached tells that no step had to run.
	Cached   bool
	Duration time.Duration
	// Err says why for StatusFailed and StatusSkipped.
	Err error
}

// A Locator says where an engine is to find an image that this run does not
// build: a mirror, a digest. An empty answer leaves the reference as it is.
type Locator interface {
	Locate(ctx context.Context, ref reference.Reference) (string, error)
}

// A Confirmer asks a registry which digest a reference has there.
type Confirmer interface {
	Confirm(ctx context.Context, ref string) (digest string, err error)
}

// A Run executes plans.
type Run struct {
	Builder   Builder
	Locator   Locator
	Confirmer Confirmer
	// Place is HOST[/PREFIX] to push to; empty: where the references say.
	Place string
	// Push pushes every image and confirms its digest at the registry.
	Push bool
	// Jobs is how many builds run at once, at least 1.
	Jobs      int
	Labels    map[string]string
	Platforms []string
}

// Do builds the plan's steps, each when those that it depends on are done.
// One failure does not stop the others: what depends on it is skipped. The
// outcomes are in the plan's order.
func (r *Run) Do(ctx context.Context, plan *Plan) []Outcome {
	outcomes := make([]Outcome, len(plan.Steps))
	done := make(map[string]chan struct{}, len(plan.Steps))
	index := make(map[string]int, len(plan.Steps))
	needed := map[string]bool{}
	for i, step := range plan.Steps {
		done[step.Name], index[step.Name] = make(chan struct{}), i
		for _, dependency := range step.DependsOn {
			needed[dependency] = true
		}
	}
	slots := make(chan struct{}, max(1, r.Jobs))
	var group sync.WaitGroup
	for i, step := range plan.Steps {
		group.Go(func() {
			defer close(done[step.Name])
			for _, dependency := range step.DependsOn {
				<-done[dependency]
			}
			parents := map[string]Outcome{}
			for _, dependency := range step.DependsOn {
				parents[dependency] = outcomes[index[dependency]]
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			outcomes[i] = r.step(ctx, plan.Root, step, parents, needed[step.Name])
		})
	}
	group.Wait()
	return outcomes
}

func (r *Run) step(ctx context.Context, root string, step Step, parents map[string]Outcome, needed bool) Outcome {
	out := Outcome{Target: step.Target, Status: StatusSkipped}
	for _, dependency := range step.DependsOn {
		if parents[dependency].Status != StatusBuilt {
			out.Err = fmt.Errorf("%s, which it is built from, was not built", dependency)
			return out
		}
	}
	if err := ctx.Err(); err != nil {
		out.Err = fmt.Errorf("interrupted: %w", err)
		return out
	}
	start := time.Now()
	out.Status = StatusFailed
	req, err := r.request(ctx, root, step, parents)
	if err == nil {
		req.Retain = needed && !r.Push
		var result Result
		if result, err = r.Builder.Build(ctx, req); err == nil {
			out.Digest, out.ImageID, out.Cached, out.References = result.Digest, result.ImageID, result.Cached, result.References
			err = r.confirm(ctx, req, &out)
		}
	}
	if err == nil {
		out.Status = StatusBuilt
	}
	out.Err, out.Duration = err, time.Since(start)
	return out
}

// request makes the engine's request of a step: the Dockerfile's images are
// replaced by this run's parents and by what the locator says.
func (r *Run) request(ctx context.Context, root string, step Step, parents map[string]Outcome) (Request, error) {
	req := Request{
		Name:           step.Name,
		Context:        filepath.Join(root, filepath.FromSlash(step.Context)),
		DockerfileName: filepath.Base(step.Dockerfile),
		Args:           step.Args,
		Stage:          step.Stage,
		Labels:         r.Labels,
		Platforms:      r.Platforms,
		Push:           r.Push,
		Parents:        map[string]Result{},
	}
	if r.Push && len(step.Tags) == 0 {
		return req, fmt.Errorf("%s: no manifest names the image that it makes, so there is no repository to push to; name it in a manifest, or under images: in rtbuild.yaml", step.Dockerfile)
	}
	for _, ref := range step.References(r.Place) {
		req.References = append(req.References, ref.String())
	}
	var err error
	if req.ContextDigest, err = ContextDigest(req.Context, req.DockerfileName); err != nil {
		return req, err
	}
	replaced := map[string]string{}
	for _, use := range step.Images {
		if sibling, ok := step.Siblings[use.Image]; ok {
			replaced[use.Image] = r.parent(parents[sibling], req.Parents)
			continue
		}
		ref, err := reference.Parse(use.Image)
		if err != nil {
			return req, fmt.Errorf("%s:%d: %w", step.Dockerfile, use.Line, err)
		}
		if replaced[use.Image], err = r.Locator.Locate(ctx, ref); err != nil {
			return req, fmt.Errorf("%s:%d: finding %s: %w", step.Dockerfile, use.Line, use.Image, err)
		}
	}
	req.Dockerfile, err = dockerfile.Rewrite(step.Source, step.Images, func(use dockerfile.Use) string { return replaced[use.Image] })
	if err != nil {
		return req, fmt.Errorf("%s: %w", step.Dockerfile, err)
	}
	return req, nil
}

// parent is the reference by which a child names a parent of this run: by
// digest where it was pushed, else by a name that the engine knows.
func (r *Run) parent(parent Outcome, unpushed map[string]Result) string {
	name := parent.Target.References(r.Place)[0]
	if r.Push {
		return name.WithTag("").WithDigest(parent.Digest).String()
	}
	unpushed[name.String()] = Result{Digest: parent.Digest, ImageID: parent.ImageID, References: parent.References}
	return name.String()
}

// confirm asks the registry for the digest of every reference pushed. An
// engine's own word is no proof: some report the digest of something else, or
// none, and a tag may have moved since.
func (r *Run) confirm(ctx context.Context, req Request, out *Outcome) error {
	if !r.Push {
		return nil
	}
	out.References = req.References
	for _, ref := range req.References {
		digest, err := r.Confirmer.Confirm(ctx, ref)
		if err != nil {
			return fmt.Errorf("confirming the push of %s: %w", ref, err)
		}
		if out.Digest != "" && out.Digest != digest {
			return fmt.Errorf("%s has the digest %s at the registry, but %s was pushed: somebody else pushed that tag meanwhile; run again", ref, digest, out.Digest)
		}
		out.Digest = digest
	}
	return nil
}
