package release

import (
	"context"
	"fmt"
	"slices"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A Candidate is an image that is pushed under its content tag and would be
// released.
type Candidate struct {
	Target *discover.Target
	// Ref is the full reference with the content tag,
	// "HOST/path:3.13-0123456789ab".
	Ref string
	// Digest is what Ref points to.
	Digest string
}

// An Admission is what a gate is asked for.
type Admission struct {
	// Candidates are the images that are not released yet, at least one.
	Candidates []Candidate
	// Images are all images of the run, released or not: full references by
	// digest, by their target's name.
	Images map[string]string
}

// A Gate decides which images may be released: it is the step between Build
// and Push.
type Gate interface {
	// Ready is an error if the gate could not decide: it is asked before anything
	// is built for it.
	Ready(ctx context.Context) error
	// Admit has an error for each candidate, in their order: why it must not
	// be released, or nil. It is called once a run, and not without candidates.
	Admit(ctx context.Context, admission Admission) []error
}

// verify asks the gate for every image of a run that is not released yet,
// whether it was built now or before: one that a gate refused once is at the
// registry all the same. An image whose version tags all point to it already
// was admitted when they moved there, and is not asked for again. A refused
// image's outcome becomes a failure.
func verify(ctx context.Context, gate Gate, destination string, outcomes []build.Outcome) {
	admission := Admission{Images: map[string]string{}}
	var asked []*build.Outcome
	for i := range outcomes {
		out := &outcomes[i]
		if !out.Status.Done() {
			continue
		}
		admission.Images[out.Name] = out.Target.References(destination)[0].WithTag("").WithDigest(out.Digest).String()
		if !released(destination, out.PreparedStep, out.Digest) {
			admission.Candidates = append(admission.Candidates, Candidate{Target: out.Target, Ref: out.Content, Digest: out.Digest})
			asked = append(asked, out)
		}
	}
	if len(asked) == 0 {
		return
	}
	answers := gate.Admit(ctx, admission)
	for n, out := range asked {
		// An answer that is missing admits nothing.
		err := fmt.Errorf("the gate gave %d answers for %d images", len(answers), len(asked))
		if len(answers) == len(asked) {
			err = answers[n]
		}
		if err != nil {
			out.Status, out.Err = build.StatusFailed, fmt.Errorf("verifying %s: %w", out.Content, err)
		}
	}
}

// released tells whether all version tags pointed to an image when the run began.
// No image is none.
func released(destination string, step build.PreparedStep, digest string) bool {
	return !slices.ContainsFunc(step.References(destination), func(ref reference.Reference) bool {
		return digest == "" || step.Published[ref.String()] != digest
	})
}
