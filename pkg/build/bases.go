package build

import (
	"context"
	"sync"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/parallel"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// Bases knows the images that a run does not build but builds on. It is safe
// for concurrent use.
type Bases interface {
	// Digest is the digest that a base image has in this run. It is empty
	// where the base is left to the engine: then nobody knows what the image
	// is made of, and it is built anew each time.
	Digest(ctx context.Context, ref reference.Reference) (string, error)
	// Config is what the base image of that digest says to builds on it for a
	// platform ("os/arch[/variant]"); known is false where nobody can tell, and
	// the base is left to the engine.
	Config(ctx context.Context, ref reference.Reference, digest, platform string) (config baseimage.Config, known bool, err error)
	// Locate is where the engine is to take the base image of that digest
	// from. An empty answer leaves the reference as the Dockerfile has it.
	Locate(ctx context.Context, ref reference.Reference, digest string) (string, error)
}

// baseLookup asks for every base image once.
type baseLookup struct {
	bases Bases

	mu      sync.Mutex
	answers map[string]*baseAnswer
}

// baseAnswer is what is known of one base image, or of one for a platform.
type baseAnswer struct {
	once   sync.Once
	digest string
	config baseimage.Config
	known  bool
	err    error
}

func newBaseLookup(bases Bases) *baseLookup {
	return &baseLookup{bases: bases, answers: map[string]*baseAnswer{}}
}

// prefetch asks for the bases of all steps at once.
func (l *baseLookup) prefetch(ctx context.Context, plan *Plan, platforms []string) {
	var images []string
	seen := map[string]bool{}
	for _, step := range plan.Steps {
		for _, use := range step.Images {
			if step.Siblings[use.Image] == "" && !seen[use.Image] {
				seen[use.Image] = true
				images = append(images, use.Image)
			}
		}
	}
	parallel.Each(len(images), parallel.Lookups, func(i int) {
		for _, platform := range platforms {
			// An error is kept, for who asks for the answer.
			_, _, _ = l.config(ctx, images[i], platform)
		}
	})
}

func (l *baseLookup) answer(key string) *baseAnswer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answers[key] == nil {
		l.answers[key] = &baseAnswer{}
	}
	return l.answers[key]
}

// digest is the base's digest, or "" where it is left to the engine.
func (l *baseLookup) digest(ctx context.Context, image string) (string, error) {
	a := l.answer(image)
	a.once.Do(func() {
		var ref reference.Reference
		if ref, a.err = reference.Parse(image); a.err == nil {
			a.digest, a.err = l.bases.Digest(ctx, ref)
		}
	})
	return a.digest, a.err
}

// config is what the base says for a platform.
func (l *baseLookup) config(ctx context.Context, image, platform string) (baseimage.Config, bool, error) {
	digest, err := l.digest(ctx, image)
	if err != nil || digest == "" {
		return baseimage.Config{}, false, err
	}
	a := l.answer(image + " " + platform)
	a.once.Do(func() {
		a.config, a.known, a.err = l.bases.Config(ctx, reference.MustParse(image), digest, platform)
	})
	return a.config, a.known, a.err
}
