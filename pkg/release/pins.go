package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/discover"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/pin"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// Pin computes the edits that put the digests into the manifests. Nothing is
// written. Where every image has its digest already, the sources are not
// looked into.
func (p *Project) Pin(ctx context.Context, changes []pin.Change) (*pin.Patch, error) {
	if plan := p.pinned(changes); plan != nil {
		return plan, nil
	}
	return pin.Compute(ctx, p.evaluator, p.Tree.Root, p.Tree.Entry, changes)
}

// pinned is the plan of changes that change nothing, or nil if one does.
func (p *Project) pinned(changes []pin.Change) *pin.Patch {
	usages := map[string]discover.Usage{}
	for _, u := range p.Discovery.Usages {
		usages[u.Pointer] = u
	}
	plan := &pin.Patch{}
	for _, change := range changes {
		u, ok := usages[change.Pointer]
		if !ok || u.Ref.Digest != change.Digest {
			return nil
		}
		plan.Pins = append(plan.Pins, pin.Pin{Pointer: change.Pointer, Old: u.Ref.String(), New: u.Ref.String(), Position: u.Image.Position})
	}
	return plan
}

// pinsOf are the changes that a target's image asks for.
func pinsOf(target *discover.Target, digest string) []pin.Change {
	var changes []pin.Change
	for _, field := range target.UsedBy {
		changes = append(changes, pin.Change{Pointer: field.Pointer, Digest: digest})
	}
	return changes
}

// A Pushed image is at the registry under its content tag, by another run,
// which left its version tags to this one.
type Pushed struct {
	Digest string
	// Fingerprint is that of the inputs; empty where it is not known.
	Fingerprint string
	// Before are the digests that its version tags had when that run began, by
	// full reference; an empty one did not exist.
	Before map[string]string
}

// Collect is what images by target's name ask for: the moves of their version
// tags at destination, and the changes to the manifests. A name that is not a target of
// this tree, and a version tag that Before does not have, are errors: the run
// was of another tree. Tags that pointed to their images already have a move
// too, so that they are looked at again.
func (p *Project) Collect(destination string, images map[string]Pushed) ([]Move, []pin.Change, error) {
	var moves []Move
	var changes []pin.Change
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(images)) {
		i := slices.IndexFunc(p.Discovery.Targets, func(t *discover.Target) bool { return t.Name == name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("no target of this tree is named %s: the reports are of another tree, or of another state of it", name))
			continue
		}
		target, image := p.Discovery.Targets[i], images[name]
		for _, ref := range target.References(destination) {
			before, ok := image.Before[ref.String()]
			if !ok {
				errs = append(errs, fmt.Errorf("the reports do not say of %s what its tag %s pointed to: they are of another state of this tree, or of another rtbuild", name, ref))
			}
			moves = append(moves, Move{Ref: ref.String(), Digest: image.Digest, Before: before})
		}
		changes = append(changes, pinsOf(target, image.Digest)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	return moves, changes, nil
}

// OfThisTree is an error that names the images that were made of other inputs
// than this tree has. Those of which either side does not know the inputs pass.
func (p *Project) OfThisTree(ctx context.Context, e Edges, o Options, images map[string]Pushed) error {
	known := map[string]bool{}
	for name, image := range images {
		known[name] = image.Fingerprint != ""
	}
	today, err := p.Fingerprint(ctx, e, o, known)
	if err != nil {
		return err
	}
	var errs []error
	for _, step := range today.Steps {
		if was := images[step.Name].Fingerprint; was != "" && step.Fingerprint != "" && was != step.Fingerprint {
			errs = append(errs, fmt.Errorf("%s was made of other inputs than this tree has: its report is of another commit, of other settings or base images: run its job again, on this commit", step.Name))
		}
	}
	return errors.Join(errs...)
}

// An Assignment is REF=sha256:… of the command line.
type Assignment struct {
	Ref    reference.Reference
	Digest string
}

// ParseAssignment reads REF=sha256:…; REF is a repository, or a repository and
// tag.
func ParseAssignment(s string) (Assignment, error) {
	text, digest, ok := strings.Cut(s, "=")
	if !ok {
		return Assignment{}, fmt.Errorf("%q is not a REF=sha256:…", s)
	}
	if err := reference.CheckDigest(digest); err != nil {
		return Assignment{}, fmt.Errorf("%s: %w", text, err)
	}
	ref, err := reference.Parse(text)
	if err != nil {
		return Assignment{}, err
	}
	if ref.Digest != "" {
		return Assignment{}, fmt.Errorf("%s: write the repository, or repository:tag, without a digest", text)
	}
	return Assignment{Ref: ref, Digest: digest}, nil
}

// PinAssigned are the changes that assignments ask for: every image whose
// repository, and tag if the assignment has one, is the assignment's. An
// image without a tag counts as tagged with its version. An assignment that
// fits no image is an error, and so are two that give one image two digests.
func (p *Project) PinAssigned(assignments []Assignment) ([]pin.Change, error) {
	var errs []error
	var changes []pin.Change
	by := map[string]Assignment{}
	for _, a := range assignments {
		found := false
		for _, u := range p.Discovery.Usages {
			if u.Ref.Name == "" || u.Ref.Repository() != a.Ref.Repository() || a.Ref.Tag != "" && a.Ref.Tag != tagOf(u) {
				continue
			}
			found = true
			if other, ok := by[u.Pointer]; ok && other.Digest != a.Digest {
				errs = append(errs, fmt.Errorf("%s: %s and %s give it different digests", u.Image.Position, other.Ref, a.Ref))
				continue
			}
			by[u.Pointer] = a
			changes = append(changes, pin.Change{Pointer: u.Pointer, Digest: a.Digest})
		}
		if !found {
			errs = append(errs, fmt.Errorf("no manifest names an image %s; rtbuild list shows those that are named", a.Ref))
		}
	}
	return changes, errors.Join(errs...)
}

func tagOf(u discover.Usage) string {
	if u.Ref.Tag != "" {
		return u.Ref.Tag
	}
	return u.Version
}

// PinResolved are the changes that the registry asks for: the images that
// this tree builds, and those in its namespaces that have no digest yet, are
// looked up by their tags (at destination, if it builds them). Those whose
// Dockerfile is gone stay as they are pinned. With external, third-party
// images that have a tag are looked up as well. All that could not be
// resolved is reported. names select runtimes or targets, as for Plan.
func (p *Project) PinResolved(ctx context.Context, resolver reference.Resolver, destination string, names []string, external bool) ([]pin.Change, error) {
	selected, err := p.Discovery.Find(names)
	if err != nil {
		return nil, err
	}
	var pointers, refs []string
	for _, u := range selected.Usages {
		ref, ok := lookUp(u, destination, external)
		if !ok {
			continue
		}
		pointers, refs = append(pointers, u.Pointer), append(refs, ref)
	}
	digests, err := ResolveAll(ctx, resolver, refs)
	if err != nil {
		return nil, err
	}
	changes := make([]pin.Change, len(pointers))
	for i, pointer := range pointers {
		changes[i] = pin.Change{Pointer: pointer, Digest: digests[refs[i]]}
	}
	return changes, nil
}

// lookUp is the reference to resolve for an image, if it is to be resolved.
func lookUp(u discover.Usage, destination string, external bool) (string, bool) {
	switch u.Origin {
	case discover.OriginBuilt:
		return u.Ref.WithTag(tagOf(u)).Relocate(destination).String(), true
	case discover.OriginMissing:
		return u.Ref.WithTag(tagOf(u)).String(), true
	case discover.OriginUndecided:
		return u.Ref.WithTag(tagOf(u)).String(), u.Ref.Digest == ""
	case discover.OriginExternal:
		return u.Ref.WithTag(u.Ref.Tag).String(), external && u.Ref.Name != "" && u.Ref.Tag != ""
	}
	return "", false
}

// ResolveAll resolves each different reference once, many at a time, to its
// digest. All failures are reported, in alphabetical order.
func ResolveAll(ctx context.Context, resolver reference.Resolver, refs []string) (map[string]string, error) {
	refs = slices.Compact(slices.Sorted(slices.Values(refs)))
	digests, errs := make([]string, len(refs)), make([]error, len(refs))
	parallel.Each(len(refs), parallel.Lookups, func(i int) {
		descriptor, err := resolver.Resolve(ctx, refs[i])
		digests[i], errs[i] = descriptor.Digest, err
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	resolved := make(map[string]string, len(refs))
	for i, ref := range refs {
		resolved[ref] = digests[i]
	}
	return resolved, nil
}
