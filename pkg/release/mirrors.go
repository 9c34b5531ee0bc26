package release

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// Mirrors finds base images at mirrors. It implements build.Locator.
type Mirrors struct {
	resolver Resolver
	places   map[string]string // start of a repository to its place

	mu    sync.Mutex
	found map[string]*location
}

type location struct {
	once  sync.Once
	image string
	err   error
}

// NewMirrors makes a locator of places: from a repository or the start of one
// ("docker.io", "docker.io/library/debian") to HOST[/PREFIX].
func NewMirrors(resolver Resolver, places map[string]string) *Mirrors {
	m := &Mirrors{resolver: resolver, places: map[string]string{}, found: map[string]*location{}}
	for from, to := range places {
		m.places[reference.CanonicalPrefix(from)] = strings.TrimSuffix(to, "/")
	}
	return m
}

// Locate names the image at the mirror, by digest, so that the engine cannot
// take an older image of the same tag that it happens to have. It is empty
// where no mirror is set or the mirror does not have the image. Every image
// is looked up once.
func (m *Mirrors) Locate(ctx context.Context, ref reference.Reference) (string, error) {
	mirrored, ok := m.mirrored(ref)
	if !ok {
		return "", nil
	}
	m.mu.Lock()
	l := m.found[mirrored]
	if l == nil {
		l = &location{}
		m.found[mirrored] = l
	}
	m.mu.Unlock()
	l.once.Do(func() { l.image, l.err = m.lookUp(ctx, mirrored) })
	return l.image, l.err
}

func (m *Mirrors) lookUp(ctx context.Context, mirrored string) (string, error) {
	descriptor, err := m.resolver.Resolve(ctx, mirrored)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("at the mirror: %w", err)
	}
	ref, err := reference.Parse(mirrored)
	if err != nil {
		return "", err
	}
	return ref.WithTag("").WithDigest(descriptor.Digest).String(), nil
}

// mirrored is the reference at the mirror of the longest start that fits.
func (m *Mirrors) mirrored(ref reference.Reference) (string, bool) {
	repository := ref.Repository()
	for prefix := repository; prefix != ""; prefix = prefix[:max(0, strings.LastIndexByte(prefix, '/'))] {
		place, ok := m.places[prefix]
		if !ok {
			continue
		}
		image := place + strings.TrimPrefix(repository, prefix)
		switch {
		case ref.Digest != "":
			return image + "@" + ref.Digest, true
		case ref.Tag == "":
			return image + ":latest", true
		}
		return image + ":" + ref.Tag, true
	}
	return "", false
}
