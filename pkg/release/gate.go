package release

import (
	"context"
	"fmt"

	"github.com/rtbuild/rtbuild/pkg/build"
)

// A Candidate is an image that is pushed under its content tag and would be
// released.
type Candidate struct {
	Target *build.Target
	// Ref is the full reference with the content tag,
	// "HOST/path:3.13-0123456789ab".
	Ref string
	// Digest is what Ref stands for.
	Digest string
}

// A Gate decides which images may be released: it is the step between Build
// and Push.
type Gate interface {
	// Admit has an error for each candidate, in their order: why it must not
	// be released, or nil. It is called once a run.
	Admit(ctx context.Context, candidates []Candidate) []error
}

// Verify asks the gate for every image of a run that is not released yet,
// whether it was built now or before: one that a gate refused once is at the
// registry all the same. An image whose version tags all stand for it already
// was admitted when they moved there, and is not asked for again. A refused
// image's outcome becomes a failure.
func Verify(ctx context.Context, gate Gate, place string, prepared *build.Prepared, outcomes []build.Outcome) {
	var candidates []Candidate
	var indices []int
	for i, out := range outcomes {
		if out.Status.Done() && !released(place, prepared.Steps[i], out) {
			candidates = append(candidates, Candidate{Target: out.Target, Ref: prepared.Steps[i].Content, Digest: out.Digest})
			indices = append(indices, i)
		}
	}
	if len(candidates) == 0 {
		return
	}
	answers := gate.Admit(ctx, candidates)
	for n, i := range indices {
		// An answer that is missing admits nothing.
		err := fmt.Errorf("the gate gave %d answers for %d images", len(answers), len(candidates))
		if len(answers) == len(candidates) {
			err = answers[n]
		}
		if err != nil {
			outcomes[i].Status = build.StatusFailed
			outcomes[i].Err = fmt.Errorf("verifying %s: %w", candidates[n].Ref, err)
		}
	}
}

// released tells whether all version tags stood for the image when the run
// began.
func released(place string, step build.PreparedStep, out build.Outcome) bool {
	for _, ref := range out.Target.References(place) {
		if step.Published[ref.String()] != out.Digest {
			return false
		}
	}
	return true
}
