package release

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/lockfile"
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

// Locked is what the lock file has of a base image for a platform, nothing where
// it has none. No registry is asked.
func (b *Bases) Locked(_ context.Context, image, platform string) (config baseimage.Config, known bool, err error) {
	ref, err := reference.Parse(image)
	if err != nil {
		return baseimage.Config{}, false, err
	}
	digest := ref.Digest
	if digest == "" {
		digest, _ = b.lock.Digest(ref)
	}
	config, known = b.lock.Config(digest, platform)
	return config, known, nil
}

// leave tells whether a base that could not be asked for is left to the engine,
// which may have it.
func (b *Bases) leave(err error) bool {
	return b.mode == LockOffer && (errors.Is(err, reference.ErrNotFound) || errors.Is(err, reference.ErrUnreachable) || errors.Is(err, reference.ErrUnauthorized))
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
	if errors.Is(err, reference.ErrNotFound) && ref.Digest == "" {
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
	asked, mirrored := b.mirrors.mirrored(ref)
	switch {
	case err != nil && mirrored:
		err = fmt.Errorf("%w; its mirror was asked first, and has no %s", err, asked)
	case errors.Is(err, reference.ErrUnreachable):
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
	case errors.Is(err, reference.ErrNotFound) && ref.Digest == "":
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
