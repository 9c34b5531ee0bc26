package pin

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/provenance"
)

// A Refusal is a wanted change that cannot be made, or not safely. Compute
// returns all of them, joined.
type Refusal struct {
	// Pointers are the JSON pointers of the changes that are refused.
	Pointers []string
	// Image is the first of the images as the document has it, where it has it.
	Image string
	// Position is the place in the source at fault, as far as it is known.
	Position provenance.Position
	// Reason says why, and what to do.
	Reason string
}

// Error is "file:line:column: cannot pin IMAGE (POINTER): REASON" on one line,
// unless Jsonnet's own error in it has more.
func (r *Refusal) Error() string {
	var b strings.Builder
	if r.Position.File != "" {
		b.WriteString(r.Position.String() + ": ")
	}
	b.WriteString("cannot pin ")
	if r.Image != "" {
		fmt.Fprintf(&b, "%q ", r.Image)
	}
	fmt.Fprintf(&b, "(%s): %s", strings.Join(r.Pointers, ", "), r.Reason)
	return b.String()
}

// join is the refusals as one error, or nil.
func join(refusals []*Refusal) error {
	errs := make([]error, len(refusals))
	for i, refusal := range refusals {
		errs[i] = refusal
	}
	return errors.Join(errs...)
}
