package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/lockfile"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A BaseImage is an image that Dockerfiles name and this tree does not build.
type BaseImage struct {
	Ref reference.Reference
	// Targets are the names of the targets that name it themselves.
	Targets []string
}

// name is by what the image is known: its entry in the lock file, or with its
// digest, if it is named by that.
func (i BaseImage) name() string {
	if i.Ref.Digest != "" {
		return i.Ref.String()
	}
	return lockfile.Key(i.Ref)
}

// BaseImages are the images of all Dockerfiles, in alphabetical order, with those
// that only ONBUILD instructions of others name, as far as the lock file has
// these.
func (p *Project) BaseImages(bases *Bases) ([]BaseImage, error) {
	plan, err := build.NewPlanOn(bases.Locked, p.Tree.Root, p.Discovery.Targets, p.Discovery.Targets, p.Platforms)
	if err != nil {
		return nil, err
	}
	images := map[string]*BaseImage{}
	for _, step := range plan.Steps {
		for _, use := range step.Images {
			if _, sibling := step.Siblings[use.Image]; sibling {
				continue
			}
			ref, err := reference.Parse(use.Image)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", step.Dockerfile, use.Line, err)
			}
			image := BaseImage{Ref: ref}
			if images[image.name()] == nil {
				images[image.name()] = &image
			}
			known := images[image.name()]
			if !slices.Contains(known.Targets, step.Name) {
				known.Targets = append(known.Targets, step.Name)
			}
		}
	}
	var list []BaseImage
	for _, key := range slices.Sorted(maps.Keys(images)) {
		list = append(list, *images[key])
	}
	return list, nil
}

// A LockChange is a change to the lock file. An empty digest means no
// entry.
type LockChange struct {
	Image string `json:"image"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
	// Targets are those that would be built anew, without the images that are
	// built from them.
	Targets []string `json:"targets,omitempty"`
}

// Lock looks up the images that the lock file does not have, and those that names
// choose, and drops entries that no image has. Only names (as the lock file writes
// them, or as a Dockerfile does) chooses among the locked; with all, all are
// looked up. A name that is not a base image is an error. The caller saves the file,
// but not after an error. What the images say is locked for the platforms.
func (p *Project) Lock(ctx context.Context, bases *Bases, platforms []string, all bool, names []string) ([]LockChange, error) {
	images, err := p.BaseImages(bases)
	if err != nil {
		return nil, err
	}
	changes, err := bases.Update(ctx, images, platforms, all, names)
	// What was looked up may name other images in its ONBUILD instructions.
	for known := -1; err == nil && known != len(images); {
		known = len(images)
		if images, err = p.BaseImages(bases); err == nil {
			var more []LockChange
			more, err = bases.Update(ctx, images, platforms, false, nil)
			changes = append(changes, more...)
		}
	}
	if err != nil {
		return nil, err
	}
	return append(changes, bases.drop(images)...), nil
}

// Update looks up those of the images that the lock file does not have, and those
// that names choose; with all, all of them. What they say is locked for the
// platforms.
func (b *Bases) Update(ctx context.Context, images []BaseImage, platforms []string, all bool, names []string) ([]LockChange, error) {
	chosen, err := choose(images, names)
	if err != nil {
		return nil, err
	}
	var wanted []BaseImage
	for _, image := range images {
		if image.Ref.Digest != "" {
			continue
		}
		if _, locked := b.lock.Digest(image.Ref); !locked || all || chosen[lockfile.Key(image.Ref)] {
			wanted = append(wanted, image)
		}
	}
	changes, err := b.compare(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		b.lock.Set(reference.MustParse(change.Image), change.New)
	}
	return changes, b.updateConfigs(ctx, images, platforms)
}

// drop removes the entries that no image has, and what others say.
func (b *Bases) drop(images []BaseImage) []LockChange {
	used, digests := map[string]bool{}, map[string]bool{}
	for _, image := range images {
		digest, _ := b.lock.Digest(image.Ref)
		used[lockfile.Key(image.Ref)], digests[digest] = true, true
	}
	var changes []LockChange
	for _, key := range b.lock.References() {
		if !used[key] {
			ref := reference.MustParse(key)
			old, _ := b.lock.Digest(ref)
			b.lock.Remove(ref)
			changes = append(changes, LockChange{Image: key, Old: old})
		}
	}
	b.lock.KeepConfigs(digests)
	return changes
}

// updateConfigs locks what the images say, whose digests are known.
func (b *Bases) updateConfigs(ctx context.Context, images []BaseImage, platforms []string) error {
	errs := make([]error, len(images))
	parallel.Each(len(images), parallel.Lookups, func(i int) {
		digest, _ := b.lock.Digest(images[i].Ref)
		for _, platform := range platforms {
			if _, _, err := b.Config(ctx, images[i].Ref, digest, platform); err != nil {
				errs[i] = fmt.Errorf("%s: %w", images[i].name(), err)
			}
		}
	})
	return errors.Join(errs...)
}

func choose(images []BaseImage, names []string) (map[string]bool, error) {
	chosen := map[string]bool{}
	for _, name := range names {
		ref, err := reference.Parse(name)
		if err != nil {
			return nil, err
		}
		key := lockfile.Key(ref)
		if !slices.ContainsFunc(images, func(image BaseImage) bool { return image.name() == key }) {
			return nil, fmt.Errorf("no Dockerfile of this tree names %s as a base image", key)
		}
		chosen[key] = true
	}
	return chosen, nil
}

// Outdated lists the locked images that have another digest now.
func (b *Bases) Outdated(ctx context.Context, images []BaseImage) ([]LockChange, error) {
	locked := slices.DeleteFunc(slices.Clone(images), func(image BaseImage) bool {
		_, ok := b.lock.Digest(image.Ref)
		return !ok || image.Ref.Digest != ""
	})
	return b.compare(ctx, locked)
}

// compare looks images up and lists those that are not what is locked.
func (b *Bases) compare(ctx context.Context, images []BaseImage) ([]LockChange, error) {
	digests, errs := make([]string, len(images)), make([]error, len(images))
	parallel.Each(len(images), parallel.Lookups, func(i int) {
		digests[i], errs[i] = b.Current(ctx, images[i].Ref)
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var changes []LockChange
	for i, image := range images {
		if old, _ := b.lock.Digest(image.Ref); old != digests[i] {
			changes = append(changes, LockChange{Image: lockfile.Key(image.Ref), Old: old, New: digests[i], Targets: image.Targets})
		}
	}
	return changes, nil
}
