package build

import (
	"context"
	"fmt"
	"time"

	"github.com/rtbuild/rtbuild/pkg/buildcontext"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

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
	// Files are what the image is made of in its context.
	Files *buildcontext.Files
	// BuildPlatform is where it is built, "os/arch[/variant]", if that shows in
	// the image; else empty.
	BuildPlatform string
	// LocalOnly is why the image must not leave this machine: what a base image
	// of it says, with its name. Empty where it may.
	LocalOnly string
	// Epoch is the time that the image carries.
	Epoch time.Time
	// Fingerprint is empty where a base is left to the engine.
	Fingerprint string
	// Labels are those that the image is to carry.
	Labels map[string]string
	// Content is the full reference with the content tag,
	// "HOST/path:3.13-0123456789ab"; empty if nothing is pushed.
	Content string
	// Existing is the digest of the image that the registry has of these inputs,
	// or empty. Found are the full references by which it was found there: the
	// version tags, if the image under each of them says that it was made from
	// these inputs, else Content.
	Existing string
	Found    []string
	// Published are the digests that the version tags have there, by full
	// reference; empty ones do not exist.
	Published map[string]string
	// Err is why the step cannot be built.
	Err error
}

// Older says of an image that has these labels why it is not the one that the step
// makes today; "" if it is, or if that is not known.
func (s PreparedStep) Older(labels map[string]string) string {
	made := labels[LabelFingerprint]
	switch {
	case s.Fingerprint == "" || made == s.Fingerprint:
		return ""
	case made == "":
		return "does not say what it was made from"
	}
	return "is not made of today's sources"
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

// Prepare is Fingerprint and LookUp at once: what the version tags point to does
// not depend on what the images are made of, so that is asked meanwhile.
func (r *Run) Prepare(ctx context.Context, plan *Plan) *Prepared {
	if !r.Push {
		return r.Fingerprint(ctx, plan)
	}
	published := make(chan []answer, 1)
	go func() { published <- r.ask(ctx, r.versionTags(plan), r.recognize) }()
	p := r.Fingerprint(ctx, plan)
	r.lookUp(ctx, p, <-published)
	return p
}

// LookUp asks the registry what it has of a run that pushes: for each version
// tag once, all at once, and then for the content tags of the steps whose
// version tags do not tell. What is wrong with one step is kept in it. A run
// that does not push asks nothing.
func (r *Run) LookUp(ctx context.Context, p *Prepared) {
	if r.Push {
		r.lookUp(ctx, p, r.ask(ctx, r.versionTags(p.Plan()), r.recognize))
	}
}

// lookUp is LookUp from the version tags' answers on.
func (r *Run) lookUp(ctx context.Context, p *Prepared, published []answer) {
	for i := range p.Steps {
		if step := &p.Steps[i]; step.Err == nil {
			step.Err = r.contentTag(step)
		}
	}
	p.fill(published)
	p.recognize(published)
	p.fill(r.ask(ctx, p.contentTags(), r.confirmed))
}

// recognize asks the registry which digest a reference has there, and for the
// fingerprint of the inputs from which the image says that it was made; empty
// where it does not say so in the answer to the same single question.
func (r *Run) recognize(ctx context.Context, ref string) (digest, fingerprint string, err error) {
	descriptor, annotations, err := r.Registry.Annotations(ctx, ref)
	return descriptor.Digest, annotations[LabelFingerprint], err
}

// confirmed is recognize for a reference whose name says what it is made from.
func (r *Run) confirmed(ctx context.Context, ref string) (digest, fingerprint string, err error) {
	descriptor, err := r.Registry.Resolve(ctx, ref)
	return descriptor.Digest, "", err
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
	content := p.Repository.WithTag(p.Tags[0] + "-" + p.Fingerprint[:contentTagLength]).Relocate(r.Destination)
	if p.LocalOnly != "" && !content.OnLoopback() {
		return fmt.Errorf("%s: not to be pushed to %s: %s; push it to a registry of this machine (--registry local), or build it on another base image", p.Dockerfile, content.Registry(), p.LocalOnly)
	}
	p.Content = content.String()
	return nil
}

// A question is a reference to ask the registry for, and the step that wants
// to know.
type question struct {
	step int
	ref  string
}

// An answer has no digest and no error where the registry has no such image,
// and no fingerprint where the image does not say what it was made from.
type answer struct {
	question
	digest, fingerprint string
	err                 error
}

func (r *Run) versionTags(plan *Plan) []question {
	var questions []question
	for i, step := range plan.Steps {
		for _, ref := range step.References(r.Destination) {
			questions = append(questions, question{i, ref.String()})
		}
	}
	return questions
}

// contentTags are those of the steps whose image is not found yet.
func (p *Prepared) contentTags() []question {
	var questions []question
	for i, step := range p.Steps {
		if step.Err == nil && step.Existing == "" {
			questions = append(questions, question{i, step.Content})
		}
	}
	return questions
}

// ask puts all questions to the registry at once.
func (r *Run) ask(ctx context.Context, questions []question, registry func(ctx context.Context, ref string) (digest, fingerprint string, err error)) []answer {
	answers := make([]answer, len(questions))
	parallel.Each(len(questions), parallel.Lookups, func(i int) {
		q := questions[i]
		digest, fingerprint, err := registry(ctx, q.ref)
		if err != nil && reference.MayBeMissing(err) {
			digest, fingerprint, err = "", "", nil
		}
		answers[i] = answer{q, digest, fingerprint, err}
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
			if a.digest != "" {
				step.Existing, step.Found = a.digest, []string{a.ref}
			}
		default:
			step.Published[a.ref] = a.digest
		}
	}
}

// recognize finds the steps whose version tags all point to one image that
// says that it was made from the step's inputs: the content tag has nothing to
// add to that.
func (p *Prepared) recognize(published []answer) {
	others := map[int]bool{}
	for _, a := range published {
		step := &p.Steps[a.step]
		if step.Err != nil || a.fingerprint == "" || a.fingerprint != step.Fingerprint || step.Existing != "" && step.Existing != a.digest {
			others[a.step] = true
			continue
		}
		step.Existing, step.Found = a.digest, append(step.Found, a.ref)
	}
	for i := range others {
		p.Steps[i].Existing, p.Steps[i].Found = "", nil
	}
}
