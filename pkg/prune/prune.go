// Package prune finds the images at a registry that nothing needs any more, and
// deletes them.
package prune

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// A Cleaner lists what registries hold, and deletes it. It is safe for concurrent
// use.
type Cleaner interface {
	reference.Resolver
	release.Inspector
	// Tags are the tags of a repository (HOST/path); none where there is no such
	// repository. Errors are those of reference.Resolver.
	Tags(ctx context.Context, repository string) ([]string, error)
	// Delete removes the manifest NAME@DIGEST and every tag that stands for it.
	// Errors are those of reference.Resolver.
	Delete(ctx context.Context, ref string) error
}

// A PinLog reads which digests a tree's files held.
type PinLog interface {
	// Branches are the branches that there are, remote ones too, and HEAD.
	Branches(ctx context.Context) ([]string, error)
	// Revisions visits a branch's tip and then, newest first, the commits that
	// changed a line with a digest, until visit returns false. The error wraps
	// release.ErrShallow where the clone lacks the beginning of the history.
	Revisions(ctx context.Context, branch string, visit func(Revision) bool) error
}

// A Revision is what the tree held at a commit.
type Revision struct {
	Time time.Time
	// Digests are all digests in its files ("sha256:…").
	Digests map[string]bool
}

// Retention says what is kept beside what today's tree needs.
type Retention struct {
	// Releases is how many releases of each branch are kept: the last states of
	// its manifests that pin other images than the state before.
	Releases int
	// Since keeps whatever the manifests pinned at that time or later.
	Since time.Time
}

// A Stored is an image at the registry, and what needs it.
type Stored struct {
	// Repository is HOST/path.
	Repository string   `json:"repository"`
	Digest     string   `json:"digest"`
	Tags       []string `json:"tags"`
	// Reason says what needs it; empty where nothing does.
	Reason string `json:"reason,omitempty"`
	// Children are the digests of the images of an index.
	Children []string `json:"children,omitempty"`
	// fingerprint and siblings are those that the image says it was made from.
	fingerprint string
	siblings    []string
}

// Needed tells whether the image stays.
func (s Stored) Needed() bool { return s.Reason != "" }

// String names the image by its first tag.
func (s Stored) String() string { return s.Repository + ":" + s.Tags[0] }

// contentTag matches the form of a content tag: a version tag and the start of a
// fingerprint.
var contentTag = regexp.MustCompile(`^.+-([0-9a-f]{12})$`)

// Find looks at all tagged images in the repositories that a tree builds and says
// which of them nothing needs. An image is needed
//
//   - if a tag stands for it that is no content tag;
//   - if the tree's manifests pin it, today or in a state that is kept;
//   - if today's sources make it, pinned or not;
//   - if a needed image was built from it, or is an index that lists it.
//
// Nothing is changed. The repositories' other tags are no reason to fail.
func Find(ctx context.Context, p *release.Project, cleaner Cleaner, log PinLog, e release.Edges, o release.Options, keep Retention) ([]Stored, error) {
	o.Push, o.Names = true, nil
	today, err := p.Prepare(ctx, e, o)
	if err != nil {
		return nil, err
	}
	images, err := atRegistry(ctx, p, cleaner, o.Destination)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, image := range images {
		known[image.Digest] = true
	}
	pinned, err := pinnedIn(ctx, log, known, keep)
	if err != nil {
		return nil, err
	}
	for _, u := range p.Discovery.Usages {
		pinned[u.Ref.Digest] = true
	}
	current := map[string]bool{}
	for _, step := range today.Steps {
		if step.Err != nil {
			return nil, fmt.Errorf("what %s is made of today is not known, so neither is what it needs: %w", step.Name, step.Err)
		}
		current[step.Content] = true
	}
	pr := pruning{images: images, versions: versionTags(p, o.Destination)}
	for i := range pr.images {
		pr.need(i, pr.reason(&pr.images[i], pinned, current))
	}
	return pr.images, nil
}

// versionTags are the full references of the version tags.
func versionTags(p *release.Project, place string) map[string]bool {
	tags := map[string]bool{}
	for _, t := range p.Discovery.Targets {
		for _, ref := range t.References(place) {
			tags[ref.String()] = true
		}
	}
	return tags
}

// A pruning finds out which images are needed.
type pruning struct {
	images   []Stored
	versions map[string]bool
}

// reason says what needs an image for its own sake.
func (pr pruning) reason(image *Stored, pinned, current map[string]bool) string {
	for _, tag := range image.Tags {
		if content := contentTag.FindStringSubmatch(tag); content == nil || pr.versions[image.Repository+":"+tag] || !strings.HasPrefix(image.fingerprint, content[1]) {
			return "tag " + tag
		}
	}
	for _, tag := range image.Tags {
		if current[image.Repository+":"+tag] {
			return "today's sources make it"
		}
	}
	if pinned[image.Digest] {
		return "pinned"
	}
	return ""
}

// need marks an image and what it needs itself.
func (pr pruning) need(i int, reason string) {
	image := &pr.images[i]
	if reason == "" || image.Needed() {
		return
	}
	image.Reason = reason
	for j, other := range pr.images {
		switch {
		case other.Needed():
		case other.Repository == image.Repository && slices.Contains(image.Children, other.Digest):
			pr.need(j, image.String()+" lists it")
		case slices.ContainsFunc(image.siblings, func(f string) bool { return f != "" && strings.HasPrefix(other.fingerprint, f) }):
			pr.need(j, image.String()+" is built from it")
		}
	}
}

// atRegistry are the images that have tags in the repositories of the tree's
// targets, by repository and first tag.
func atRegistry(ctx context.Context, p *release.Project, cleaner Cleaner, place string) ([]Stored, error) {
	var repositories []string
	for _, t := range append(slices.Clone(p.Discovery.Targets), p.Discovery.Unused...) {
		if t.Repository.Name != "" {
			repositories = append(repositories, t.Repository.Relocate(place).Name)
		}
	}
	slices.Sort(repositories)
	repositories = slices.Compact(repositories)
	found, errs := make([][]Stored, len(repositories)), make([]error, len(repositories))
	parallel.Each(len(repositories), parallel.Lookups, func(i int) {
		found[i], errs[i] = tagged(ctx, cleaner, repositories[i])
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	images := slices.Concat(found...)
	errs = make([]error, len(images))
	parallel.Each(len(images), parallel.Lookups, func(i int) {
		// What a tag stands for may be gone meanwhile, and at some registries the
		// tag is left.
		if errs[i] = images[i].inspect(ctx, cleaner); errors.Is(errs[i], reference.ErrNotFound) {
			images[i].Tags, errs[i] = nil, nil
		}
	})
	return slices.DeleteFunc(images, func(s Stored) bool { return len(s.Tags) == 0 }), errors.Join(errs...)
}

// tagged are the images of a repository that have tags.
func tagged(ctx context.Context, cleaner Cleaner, repository string) ([]Stored, error) {
	tags, err := cleaner.Tags(ctx, repository)
	if err != nil {
		return nil, err
	}
	slices.Sort(tags)
	digests, errs := make([]string, len(tags)), make([]error, len(tags))
	parallel.Each(len(tags), parallel.Lookups, func(i int) {
		var found reference.Descriptor
		found, errs[i] = cleaner.Resolve(ctx, repository+":"+tags[i])
		digests[i] = found.Digest
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var images []Stored
	for i, tag := range tags {
		at := slices.IndexFunc(images, func(k Stored) bool { return k.Digest == digests[i] })
		if at < 0 {
			at, images = len(images), append(images, Stored{Repository: repository, Digest: digests[i]})
		}
		images[at].Tags = append(images[at].Tags, tag)
	}
	return images, nil
}

// inspect reads what an image says of itself. What is no image, such as a
// signature, says nothing.
func (s *Stored) inspect(ctx context.Context, inspector release.Inspector) error {
	found, err := inspector.Inspect(ctx, s.Repository+"@"+s.Digest)
	if errors.Is(err, reference.ErrNoImage) {
		return nil
	}
	if err != nil {
		return err
	}
	s.Children, s.fingerprint = found.Children, found.Labels[build.LabelFingerprint]
	if label, ok := found.Labels[build.LabelInputs]; ok {
		inputs, err := build.ParseInputs(label)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		s.siblings = slices.Collect(maps.Values(inputs.Siblings))
	}
	return nil
}

// pinnedIn are the digests that the states which are kept pin, of those that are
// known.
func pinnedIn(ctx context.Context, log PinLog, known map[string]bool, keep Retention) (map[string]bool, error) {
	pinned := map[string]bool{}
	branches, err := log.Branches(ctx)
	if err != nil {
		return nil, err
	}
	for _, branch := range branches {
		var before map[string]bool
		var newer time.Time
		releases := 0
		err := log.Revisions(ctx, branch, func(r Revision) bool {
			maps.DeleteFunc(r.Digests, func(digest string, _ bool) bool { return !known[digest] })
			if before == nil || !maps.Equal(r.Digests, before) {
				releases++
			}
			// A state holds until the next one, so one that is older than the time
			// may have held then.
			if releases > keep.Releases && !newer.IsZero() && newer.Before(keep.Since) {
				return false
			}
			maps.Copy(pinned, r.Digests)
			before, newer = r.Digests, r.Time
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return pinned, nil
}

// Delete deletes the images that nothing needs, and those that only they list, and
// returns what it deleted, in that order; after an error, that is not all.
func Delete(ctx context.Context, cleaner Cleaner, images []Stored) (deleted []string, err error) {
	stays := map[string]bool{}
	for _, image := range images {
		if image.Needed() {
			stays[image.Repository+"@"+image.Digest] = true
			for _, child := range image.Children {
				stays[image.Repository+"@"+child] = true
			}
		}
	}
	for _, image := range images {
		if image.Needed() {
			continue
		}
		for _, digest := range append([]string{image.Digest}, image.Children...) {
			ref := image.Repository + "@" + digest
			if stays[ref] {
				continue
			}
			if err := cleaner.Delete(ctx, ref); err != nil && !errors.Is(err, reference.ErrNotFound) {
				return deleted, err
			}
			stays[ref], deleted = true, append(deleted, ref)
		}
	}
	return deleted, nil
}
