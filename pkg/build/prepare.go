package build

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// Bases knows the images that a run does not build but builds on. It is safe
// for concurrent use.
type Bases interface {
	// Digest is the digest that a base image has in this run. It is empty
	// where the base is left to the engine: then nobody knows what the image
	// is made of, and it is built anew each time.
	Digest(ctx context.Context, ref reference.Reference) (string, error)
	// Locate is where the engine is to take the base image of that digest
	// from. An empty answer leaves the reference as the Dockerfile has it.
	Locate(ctx context.Context, ref reference.Reference, digest string) (string, error)
}

// lookups is how many questions are put to registries at once: they wait for
// the network, not for this machine.
const lookups = 32

// Prepared is a plan of which it is known what each image is made of, and
// which images the registry has already.
type Prepared struct {
	Root  string
	Steps []PreparedStep
}

// A PreparedStep is a step, ready to be built or skipped.
type PreparedStep struct {
	Step
	Inputs Inputs
	// Fingerprint is empty where a base is left to the engine.
	Fingerprint string
	// Labels are those that the image is to carry.
	Labels map[string]string
	// Content is the full reference with the content tag,
	// "HOST/path:3.13-0123456789ab"; empty if nothing is pushed.
	Content string
	// Existing is the digest that Content has at the registry, or empty.
	Existing string
	// Published are the digests that the version tags have there, by full
	// reference; empty ones do not exist.
	Published map[string]string
	// Err is why the step cannot be built.
	Err error
}

// Fresh tells whether the registry has an image of these inputs.
func (s PreparedStep) Fresh() bool { return s.Existing != "" }

// Prepare finds out what each step's image is made of and, if the run
// pushes, asks the registry once for each content tag and each version tag.
// What is wrong with one step is kept in it.
func (r *Run) Prepare(ctx context.Context, plan *Plan) *Prepared {
	p := &Prepared{Root: plan.Root, Steps: make([]PreparedStep, len(plan.Steps))}
	hasher := &Hasher{}
	fingerprints := map[string]string{}
	digests := r.baseDigests(ctx, plan)
	for i, step := range plan.Steps {
		prepared := PreparedStep{Step: step, Published: map[string]string{}}
		prepared.Err = r.fingerprint(&prepared, plan.Root, hasher, digests, fingerprints)
		fingerprints[step.Name] = prepared.Fingerprint
		if r.Push && prepared.Err == nil {
			prepared.Err = r.contentTag(&prepared)
		}
		p.Steps[i] = prepared
	}
	if r.Push {
		r.lookUp(ctx, p)
	}
	return p
}

// A baseDigest is the answer for one base image.
type baseDigest struct {
	digest string
	err    error
}

// baseDigests asks for the digest of every base image, each once.
func (r *Run) baseDigests(ctx context.Context, plan *Plan) map[string]*baseDigest {
	digests := map[string]*baseDigest{}
	var group sync.WaitGroup
	slots := make(chan struct{}, lookups)
	for _, step := range plan.Steps {
		for _, use := range step.Images {
			if _, sibling := step.Siblings[use.Image]; sibling || digests[use.Image] != nil {
				continue
			}
			answer := &baseDigest{}
			digests[use.Image] = answer
			group.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				ref, err := reference.Parse(use.Image)
				if err == nil {
					answer.digest, err = r.Bases.Digest(ctx, ref)
				}
				answer.err = err
			})
		}
	}
	group.Wait()
	return digests
}

func (r *Run) fingerprint(p *PreparedStep, root string, hasher *Hasher, digests map[string]*baseDigest, fingerprints map[string]string) error {
	var err error
	if p.Inputs, err = p.inputs(root, hasher, r.Labels, r.Platforms); err != nil {
		return fmt.Errorf("%s: %w", p.Dockerfile, err)
	}
	known := true
	for _, use := range p.Images {
		if sibling, ok := p.Siblings[use.Image]; ok {
			p.Inputs.Siblings[use.Image] = fingerprints[sibling]
			known = known && fingerprints[sibling] != ""
			continue
		}
		answer := digests[use.Image]
		if answer.err != nil {
			return fmt.Errorf("%s:%d: finding the base image %s: %w", p.Dockerfile, use.Line, use.Image, answer.err)
		}
		p.Inputs.Bases[use.Image] = answer.digest
		known = known && answer.digest != ""
	}
	p.Labels = maps.Clone(r.Labels)
	if !known {
		return nil
	}
	p.Fingerprint = p.Inputs.Fingerprint()
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.Labels[LabelFingerprint], p.Labels[LabelInputs] = p.Fingerprint, p.Inputs.Label()
	return nil
}

// contentTagLength is how much of a fingerprint a content tag holds: enough
// for the images of one repository and version.
const contentTagLength = 12

// contentTag names the image that the step's inputs make.
func (r *Run) contentTag(p *PreparedStep) error {
	if len(p.Tags) == 0 {
		return fmt.Errorf("%s: no manifest names the image that it makes, so there is no repository to push to; name it in a manifest, or under images: in rtbuild.yaml", p.Dockerfile)
	}
	if p.Fingerprint == "" {
		return fmt.Errorf("%s: the digest of a base image is not known, so its image cannot be released", p.Dockerfile)
	}
	p.Content = p.Repository.WithTag(p.Tags[0] + "-" + p.Fingerprint[:contentTagLength]).Relocate(r.Place).String()
	return nil
}

// lookUp asks the registry for all content tags and version tags at once.
func (r *Run) lookUp(ctx context.Context, p *Prepared) {
	slots := make(chan struct{}, lookups)
	var group sync.WaitGroup
	for i := range p.Steps {
		step := &p.Steps[i]
		if step.Err != nil {
			continue
		}
		var mu sync.Mutex
		ask := func(ref string, found func(digest string)) {
			group.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				digest, err := r.Confirmer.Confirm(ctx, ref)
				mu.Lock()
				defer mu.Unlock()
				if err != nil && !r.Confirmer.Missing(err) {
					step.Err = fmt.Errorf("asking for %s: %w", ref, err)
					return
				}
				found(digest)
			})
		}
		ask(step.Content, func(digest string) { step.Existing = digest })
		for _, ref := range step.References(r.Place) {
			ask(ref.String(), func(digest string) { step.Published[ref.String()] = digest })
		}
	}
	group.Wait()
}
