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
	// StatusBuilt means that the image is built and, if asked for, pushed and
	// confirmed.
	StatusBuilt Status = "built"
	// StatusFresh means that the registry had an image of these inputs
	// already, so that nothing was built.
	StatusFresh Status = "fresh"
	// StatusFailed means that there is no image.
	StatusFailed Status = "failed"
	// StatusSkipped means that it was not tried, because an image that it is
	// built from failed or the run was interrupted.
	StatusSkipped Status = "skipped"
)

// Done tells whether there is an image.
func (s Status) Done() bool { return s == StatusBuilt || s == StatusFresh }

// An Outcome is what became of a step: with what it is, what it is made of, and
// what the registry had of it.
type Outcome struct {
	PreparedStep
	Status Status
	// Reason says why it was built, or why not.
	Reason string
	// Digest is the manifest's digest: the registry's after a push, else
	// the engine's, which may not know it.
	Digest string
	// ImageID is the digest of the image's configuration, where known.
	ImageID string
	// References are the full references that the image has: after a push,
	// the one with the content tag; of a fresh one, those by which it was found.
	References []string
	// Cached tells that no step had to run.
	Cached   bool
	Duration time.Duration
	// Err says why for StatusFailed and StatusSkipped.
	Err error
}

// A Watcher is told how a run goes. It is safe for concurrent use.
type Watcher interface {
	// Begin is told how many images will be built, before the first; end is called
	// when none is built any more.
	Begin(builds int) (end func())
	// Started is told of each build that starts, Ended what became of it.
	Started(name string)
	Ended(Outcome)
}

// A Run executes plans.
type Run struct {
	Builder  Builder
	Bases    Bases
	Registry reference.Resolver
	// Watcher may be nil.
	Watcher Watcher
	Settings
}

// Settings say how images are made, and where they go.
type Settings struct {
	// Destination is HOST[/PREFIX] to push to; empty: where the references say.
	Destination string
	// Push pushes every image under its content tag, unless the registry has
	// it already, and confirms its digest there.
	Push bool
	// Rebuild builds what the registry has already, too.
	Rebuild bool
	// FailFast ends the run at the first failure.
	FailFast bool
	// Jobs is how many builds run at once, at least 1.
	Jobs   int
	Labels map[string]string
	// Platforms are what images are for, "os/arch[/variant]" each; HostPlatform if
	// there are none. BuildPlatform tells where they are built; nil: on
	// HostPlatform.
	Platforms     []string
	BuildPlatform func(ctx context.Context) (string, error)
	// State is the absolute path of a folder of rtbuild's own in the repository,
	// which is in no build context; empty for none.
	State string
	// KeepTimes is that of every request.
	KeepTimes bool
	// Secrets and SSH are passed to every build.
	Secrets, SSH map[string]string
}

func (r *Run) buildPlatform(ctx context.Context) (string, error) {
	if r.BuildPlatform == nil {
		return HostPlatform(), nil
	}
	return r.BuildPlatform(ctx)
}

// Do builds the prepared steps, each when those that it depends on are done.
// One failure does not stop the others, unless the run is to fail fast: what
// depends on it is skipped. The outcomes are in the plan's order.
func (r *Run) Do(ctx context.Context, prepared *Prepared) []Outcome {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	steps := prepared.Steps
	outcomes := make([]Outcome, len(steps))
	done := make(map[string]chan struct{}, len(steps))
	index := make(map[string]int, len(steps))
	needed := map[string]bool{}
	for i, step := range steps {
		done[step.Name], index[step.Name] = make(chan struct{}), i
		for _, dependency := range step.DependsOn {
			needed[dependency] = true
		}
	}
	if r.Watcher != nil {
		defer r.Watcher.Begin(r.builds(steps))()
	}
	slots := make(chan struct{}, max(1, r.Jobs))
	var group sync.WaitGroup
	for i, step := range steps {
		group.Go(func() {
			defer close(done[step.Name])
			parents := map[string]Outcome{}
			for _, dependency := range step.DependsOn {
				<-done[dependency]
				parents[dependency] = outcomes[index[dependency]]
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			outcomes[i] = r.step(ctx, step, parents, needed[step.Name])
			if r.FailFast && outcomes[i].Status == StatusFailed {
				cancel(fmt.Errorf("%s failed", step.Name))
			}
		})
	}
	group.Wait()
	return outcomes
}

// builds counts what is to be built.
func (r *Run) builds(steps []PreparedStep) int {
	builds := 0
	for _, step := range steps {
		if step.Err == nil && (step.Existing == "" || r.Rebuild) {
			builds++
		}
	}
	return builds
}

func (r *Run) step(ctx context.Context, step PreparedStep, parents map[string]Outcome, needed bool) (out Outcome) {
	out = Outcome{PreparedStep: step, Status: StatusSkipped}
	for _, dependency := range step.DependsOn {
		if !parents[dependency].Status.Done() {
			out.Err = fmt.Errorf("%s, which it is built from, was not built", dependency)
			return out
		}
	}
	switch {
	case ctx.Err() != nil:
		out.Err = fmt.Errorf("not tried: %w", context.Cause(ctx))
		return out
	case step.Err != nil:
		out.Status, out.Err = StatusFailed, step.Err
		return out
	case step.Existing != "" && !r.Rebuild:
		out.Status, out.Digest, out.References = StatusFresh, step.Existing, step.Found
		out.Reason = "the registry has an image of these inputs"
		return out
	}
	if r.Watcher != nil {
		r.Watcher.Started(step.Name)
		defer func() { r.Watcher.Ended(out) }()
	}
	start := time.Now()
	out.Status = StatusFailed
	req, err := r.request(ctx, step, parents)
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

// request makes the engine's request of a step: images that the Dockerfile names
// are this run's parents, and the bases of the digests that were hashed.
func (r *Run) request(ctx context.Context, step PreparedStep, parents map[string]Outcome) (Request, error) {
	req := Request{
		Name:           step.Name,
		Context:        step.Files,
		Dockerfile:     step.Source,
		DockerfileName: filepath.Base(step.Dockerfile),
		Images:         map[string]string{},
		Args:           step.Args,
		Stage:          step.Stage,
		Labels:         step.Labels,
		Platforms:      step.Inputs.Platforms,
		BuildPlatform:  step.BuildPlatform,
		Epoch:          step.Epoch,
		Push:           r.Push,
		KeepTimes:      r.KeepTimes,
		Secrets:        r.Secrets,
		SSH:            r.SSH,
		Parents:        map[string]Result{},
	}
	if r.Push {
		req.References = []string{step.Content}
	} else {
		for _, ref := range step.References(r.Destination) {
			req.References = append(req.References, ref.String())
		}
	}
	for _, use := range step.Images {
		if err := r.locate(ctx, step, use, parents, &req); err != nil {
			return req, fmt.Errorf("%s:%d: finding %s: %w", step.Dockerfile, max(1, use.Line), use.Image, err)
		}
		if use.Image == step.Frontend {
			req.Frontend = use.Full
		}
	}
	return req, nil
}

// locate tells the engine where one of the step's images is: a parent of this
// run by digest where it was pushed, else by what the engine knows of it.
func (r *Run) locate(ctx context.Context, step PreparedStep, use dockerfile.Use, parents map[string]Outcome, req *Request) error {
	if sibling, ok := step.Siblings[use.Image]; ok {
		parent := parents[sibling]
		if r.Push {
			req.Images[use.Full] = parent.Target.References(r.Destination)[0].WithTag("").WithDigest(parent.Digest).String()
		} else {
			req.Parents[use.Full] = Result{Digest: parent.Digest, ImageID: parent.ImageID, References: parent.References}
		}
		return nil
	}
	ref, err := reference.Parse(use.Image)
	if err != nil {
		return err
	}
	located, err := r.Bases.Locate(ctx, ref, step.Inputs.Bases[use.Image])
	if located != "" {
		req.Images[use.Full] = located
	}
	return err
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
		// The manifest is read where that costs no more, and is had then when the
		// version tag moves.
		digest, _, err := r.recognize(ctx, ref)
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
