package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/lockfile"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A LockMode says what to do about a base image that the lock file does not
// have.
type LockMode int

const (
	// LockAdd looks the base up and adds it to the lock file.
	LockAdd LockMode = iota
	// LockStrict refuses: for continuous integration.
	LockStrict
	// LockOffer is LockAdd, except that a base that cannot be found is left to
	// the engine, which may have it: for builds that are not pushed.
	LockOffer
)

// Bases knows the base images of a run: their digests by the lock file, and
// where they are found by the mirrors. It implements build.Bases.
type Bases struct {
	lock     *lockfile.File
	mirrors  *Mirrors
	registry BaseReader
	mode     LockMode

	mu    sync.Mutex
	added []string
}

// NewBases makes the bases of a run. The caller saves the lock file.
func NewBases(lock *lockfile.File, mirrors *Mirrors, registry BaseReader, mode LockMode) *Bases {
	return &Bases{lock: lock, mirrors: mirrors, registry: registry, mode: mode}
}

// Digest implements build.Bases: the reference's own digest, else the locked
// one, else the one that it has now, which is locked.
func (b *Bases) Digest(ctx context.Context, ref reference.Reference) (string, error) {
	if ref.Digest != "" {
		return ref.Digest, nil
	}
	if digest, ok := b.lock.Digest(ref); ok {
		return digest, nil
	}
	key := lockfile.Key(ref)
	if b.mode == LockStrict {
		return "", fmt.Errorf("%s is not in rtbuild.lock, and --locked adds nothing to it: run rtbuild lock and commit the file", key)
	}
	digest, err := b.Current(ctx, ref)
	if err != nil {
		if b.leave(err) {
			return "", nil
		}
		return "", err
	}
	b.lock.Set(ref, digest)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.added = append(b.added, key)
	return digest, nil
}

// leave tells whether a base that could not be asked for is left to the engine,
// which may have it.
func (b *Bases) leave(err error) bool {
	return b.mode == LockOffer && (errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnreachable) || errors.Is(err, ErrUnauthorized))
}

// Config implements build.Bases: what the lock file has for the digest, else what
// the image says, which is locked: that takes requests of which registries count
// some as pulls.
func (b *Bases) Config(ctx context.Context, ref reference.Reference, digest, platform string) (baseimage.Config, bool, error) {
	if config, ok := b.lock.Config(digest, platform); ok {
		return config, true, nil
	}
	exact, _, err := b.exact(ctx, ref, digest)
	var config baseimage.Config
	if err == nil {
		config, err = b.registry.Config(ctx, exact.String(), platform)
	}
	switch {
	case err != nil && b.leave(err):
		return baseimage.Config{}, false, nil
	case err != nil:
		return baseimage.Config{}, false, fmt.Errorf("reading what it says to builds on it: %w", b.gone(ref, digest, err))
	case b.mode != LockStrict:
		b.lock.SetConfig(digest, platform, config)
	}
	return config, true, nil
}

// exact names the image of a digest: at its mirror, if that has it, else where
// its reference says.
func (b *Bases) exact(ctx context.Context, ref reference.Reference, digest string) (exact reference.Reference, mirrored bool, err error) {
	exact = ref.WithTag("").WithDigest(digest)
	found, mirrored, err := b.mirrors.find(ctx, exact)
	if mirrored {
		exact = found
	}
	return exact, mirrored, err
}

// gone says how to lock another image where the locked one is no longer there.
func (b *Bases) gone(ref reference.Reference, digest string, err error) error {
	if errors.Is(err, ErrNotFound) && ref.Digest == "" {
		return fmt.Errorf("rtbuild.lock has %s at %s, which is gone: take the image that there is now with rtbuild lock --update %s", lockfile.Key(ref), digest, lockfile.Key(ref))
	}
	return err
}

// Added are the bases that Digest added to the lock file.
func (b *Bases) Added() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.added...)
}

// Current is the digest that a base image has now: at its mirror, else where
// its reference says.
func (b *Bases) Current(ctx context.Context, ref reference.Reference) (string, error) {
	found, ok, err := b.mirrors.find(ctx, ref)
	if err != nil || ok {
		return found.Digest, err
	}
	descriptor, err := b.registry.Resolve(ctx, ref.String())
	if errors.Is(err, ErrUnreachable) {
		err = fmt.Errorf("%w; or take it from a mirror that has it: --mirror %s=HOST[/PREFIX]", err, ref.Registry())
	}
	return descriptor.Digest, err
}

// Locate implements build.Bases. The engine is given the digest, so that it
// cannot take an older image of the same tag that it happens to have. A
// locked image that is gone is an error that says how to lock another.
func (b *Bases) Locate(ctx context.Context, ref reference.Reference, digest string) (string, error) {
	if digest == "" {
		return "", nil
	}
	exact, mirrored, err := b.exact(ctx, ref, digest)
	if err != nil {
		return "", err
	}
	if mirrored {
		return exact.String(), nil
	}
	_, err = b.registry.Resolve(ctx, exact.String())
	switch {
	case errors.Is(err, ErrNotFound) && ref.Digest == "":
		return "", b.gone(ref, digest, err)
	case err != nil && b.mode == LockOffer:
		return exact.String(), nil // the engine may have it
	case err != nil:
		return "", err
	}
	return exact.String(), nil
}

// Save writes the lock file, if something changed.
func (b *Bases) Save() error { return b.lock.Save() }

// Unsaved tells whether Save would write something.
func (b *Bases) Unsaved() bool { return b.lock.Changed() }

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

// BaseImages are the images of all Dockerfiles, in alphabetical order.
func (p *Project) BaseImages() ([]BaseImage, error) {
	plan, err := p.Plan(nil)
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

// Update looks up the images that the lock file does not have, and those
// that names choose, and drops entries that no image has. Only names (as the
// lock file writes them, or as a Dockerfile does) chooses among the locked;
// with all, all are looked up. A name that is not a base image is an error. The
// caller saves the file, but not after an error. What the images say is locked for
// the platforms.
func (b *Bases) Update(ctx context.Context, images []BaseImage, platforms []string, all bool, names []string) ([]LockChange, error) {
	chosen, err := choose(images, names)
	if err != nil {
		return nil, err
	}
	var wanted []BaseImage
	used := map[string]bool{}
	for _, image := range images {
		if image.Ref.Digest != "" {
			continue
		}
		key := lockfile.Key(image.Ref)
		used[key] = true
		if _, locked := b.lock.Digest(image.Ref); !locked || all || chosen[key] {
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
	for _, key := range b.lock.References() {
		if !used[key] {
			ref := reference.MustParse(key)
			old, _ := b.lock.Digest(ref)
			b.lock.Remove(ref)
			changes = append(changes, LockChange{Image: key, Old: old})
		}
	}
	return changes, b.updateConfigs(ctx, images, platforms)
}

// updateConfigs locks what the images say, whose digests are known, and drops what
// others do.
func (b *Bases) updateConfigs(ctx context.Context, images []BaseImage, platforms []string) error {
	digests, errs := map[string]bool{}, make([]error, len(images))
	for _, image := range images {
		digest, _ := b.lock.Digest(image.Ref)
		digests[digest] = true
	}
	parallel.Each(len(images), parallel.Lookups, func(i int) {
		digest, _ := b.lock.Digest(images[i].Ref)
		for _, platform := range platforms {
			if _, _, err := b.Config(ctx, images[i].Ref, digest, platform); err != nil {
				errs[i] = fmt.Errorf("%s: %w", images[i].name(), err)
			}
		}
	})
	b.lock.KeepConfigs(digests)
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
