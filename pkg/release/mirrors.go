package release

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// Mirrors knows where images are found besides where their references say.
type Mirrors struct {
	resolver  reference.Resolver
	locations map[string]string // start of a repository to HOST[/PREFIX]

	mu    sync.Mutex
	found map[string]*location
}

type location struct {
	once sync.Once
	ref  reference.Reference // at the mirror, with its digest
	has  bool
	err  error
}

// NewMirrors makes mirrors of locations: from a repository or the start of one
// ("docker.io", "docker.io/library/debian") to HOST[/PREFIX].
func NewMirrors(resolver reference.Resolver, locations map[string]string) *Mirrors {
	m := &Mirrors{resolver: resolver, locations: map[string]string{}, found: map[string]*location{}}
	for from, to := range locations {
		m.locations[reference.CanonicalPrefix(from)] = strings.TrimSuffix(to, "/")
	}
	return m
}

// find names an image at its mirror, with its digest there; false if no
// mirror is set for it or the mirror does not have it. Every image is looked
// up once.
func (m *Mirrors) find(ctx context.Context, ref reference.Reference) (reference.Reference, bool, error) {
	mirrored, ok := m.mirrored(ref)
	if !ok {
		return reference.Reference{}, false, nil
	}
	m.mu.Lock()
	l := m.found[mirrored]
	if l == nil {
		l = &location{}
		m.found[mirrored] = l
	}
	m.mu.Unlock()
	l.once.Do(func() { l.ref, l.has, l.err = m.lookUp(ctx, mirrored) })
	return l.ref, l.has, l.err
}

func (m *Mirrors) lookUp(ctx context.Context, mirrored string) (reference.Reference, bool, error) {
	descriptor, err := m.resolver.Resolve(ctx, mirrored)
	if reference.MayBeMissing(err) {
		return reference.Reference{}, false, nil
	}
	if err != nil {
		return reference.Reference{}, false, fmt.Errorf("at the mirror: %w", err)
	}
	ref, err := reference.Parse(mirrored)
	return ref.WithDigest(descriptor.Digest), err == nil, err
}

// mirrored is the reference at the mirror of the longest start that fits.
func (m *Mirrors) mirrored(ref reference.Reference) (string, bool) {
	repository := ref.Repository()
	for prefix := repository; prefix != ""; prefix = prefix[:max(0, strings.LastIndexByte(prefix, '/'))] {
		location, ok := m.locations[prefix]
		if !ok {
			continue
		}
		image := location + strings.TrimPrefix(repository, prefix)
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
