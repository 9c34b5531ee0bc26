package build

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/rtbuild/rtbuild/pkg/parallel"
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

// Plan is the plan that was prepared.
func (p *Prepared) Plan() *Plan {
	plan := &Plan{Root: p.Root}
	for _, step := range p.Steps {
		plan.Steps = append(plan.Steps, step.Step)
	}
	return plan
}

// Subset is what is prepared of some of the targets and of all that they are
// built from.
func (p *Prepared) Subset(names map[string]bool) *Prepared {
	wanted := withParents(p.Plan().Steps, names)
	subset := &Prepared{Root: p.Root}
	for _, step := range p.Steps {
		if wanted[step.Name] {
			subset.Steps = append(subset.Steps, step)
		}
	}
	return subset
}

// Prepare is Fingerprint and LookUp at once: where the version tags stand does
// not depend on what the images are made of, so that is asked meanwhile.
func (r *Run) Prepare(ctx context.Context, plan *Plan) *Prepared {
	if !r.Push {
		return r.Fingerprint(ctx, plan)
	}
	published := make(chan []answer, 1)
	go func() { published <- r.ask(ctx, r.versionTags(plan)) }()
	p := r.Fingerprint(ctx, plan)
	p.fill(r.ask(ctx, r.contentTags(p)))
	p.fill(<-published)
	return p
}

// LookUp asks the registry for the content tags and version tags of a run that
// pushes, once each and all at once. What is wrong with one step is kept in
// it. A run that does not push asks nothing.
func (r *Run) LookUp(ctx context.Context, p *Prepared) {
	if r.Push {
		p.fill(r.ask(ctx, slices.Concat(r.contentTags(p), r.versionTags(p.Plan()))))
	}
}

// Fingerprint finds out what each step's image is made of. What is wrong with
// one step is kept in it.
func (r *Run) Fingerprint(ctx context.Context, plan *Plan) *Prepared {
	p := &Prepared{Root: plan.Root, Steps: make([]PreparedStep, len(plan.Steps))}
	hasher := &Hasher{}
	fingerprints := map[string]string{}
	digests := r.baseDigests(ctx, plan)
	for i, step := range plan.Steps {
		prepared := PreparedStep{Step: step, Published: map[string]string{}}
		prepared.Err = r.fingerprintStep(&prepared, plan.Root, hasher, digests, fingerprints)
		fingerprints[step.Name] = prepared.Fingerprint
		p.Steps[i] = prepared
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
	var images []string
	for _, step := range plan.Steps {
		for _, use := range step.Images {
			if _, sibling := step.Siblings[use.Image]; sibling || digests[use.Image] != nil {
				continue
			}
			digests[use.Image] = &baseDigest{}
			images = append(images, use.Image)
		}
	}
	parallel.Each(len(images), parallel.Lookups, func(i int) {
		answer := digests[images[i]]
		ref, err := reference.Parse(images[i])
		if err == nil {
			answer.digest, err = r.Bases.Digest(ctx, ref)
		}
		answer.err = err
	})
	return digests
}

func (r *Run) fingerprintStep(p *PreparedStep, root string, hasher *Hasher, digests map[string]*baseDigest, fingerprints map[string]string) error {
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

// A question is a reference to ask the registry for, and the step that wants
// to know.
type question struct {
	step int
	ref  string
}

// An answer has no digest and no error where the registry has no such image.
type answer struct {
	question
	digest string
	err    error
}

func (r *Run) versionTags(plan *Plan) []question {
	var questions []question
	for i, step := range plan.Steps {
		for _, ref := range step.References(r.Place) {
			questions = append(questions, question{i, ref.String()})
		}
	}
	return questions
}

// contentTags names the content tags too.
func (r *Run) contentTags(p *Prepared) []question {
	var questions []question
	for i := range p.Steps {
		step := &p.Steps[i]
		if step.Err == nil {
			step.Err = r.contentTag(step)
		}
		if step.Err == nil {
			questions = append(questions, question{i, step.Content})
		}
	}
	return questions
}

// ask puts all questions to the registry at once.
func (r *Run) ask(ctx context.Context, questions []question) []answer {
	answers := make([]answer, len(questions))
	parallel.Each(len(questions), parallel.Lookups, func(i int) {
		q := questions[i]
		digest, err := r.Confirmer.Confirm(ctx, q.ref)
		if err != nil && r.Confirmer.Missing(err) {
			digest, err = "", nil
		}
		answers[i] = answer{q, digest, err}
	})
	return answers
}

// fill gives each step what the registry has of it. What is wrong with a step
// itself is the better reason.
func (p *Prepared) fill(answers []answer) {
	for _, a := range answers {
		step := &p.Steps[a.step]
		switch {
		case step.Err != nil:
		case a.err != nil:
			step.Err = fmt.Errorf("asking for %s: %w", a.ref, a.err)
		case a.ref == step.Content:
			step.Existing = a.digest
		default:
			step.Published[a.ref] = a.digest
		}
	}
}
