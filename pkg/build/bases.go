package build

import (
	"context"
	"fmt"

	"github.com/rtbuild/rtbuild/pkg/dockerfile"
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
	// OnBuild are the ONBUILD instructions that the base image of that digest
	// carries, without that word; known is false where nobody can tell, and the
	// base is left to the engine.
	OnBuild(ctx context.Context, ref reference.Reference, digest string) (instructions []string, known bool, err error)
	// Locate is where the engine is to take the base image of that digest
	// from. An empty answer leaves the reference as the Dockerfile has it.
	Locate(ctx context.Context, ref reference.Reference, digest string) (string, error)
}

// A base is what is known of one base image.
type base struct {
	// from tells that a FROM names it. Only then are its ONBUILD instructions
	// looked up; known is false where they are not known.
	from    bool
	digest  string
	onBuild []string
	known   bool
	err     error
}

// bases asks for every base image, each once.
func (r *Run) bases(ctx context.Context, plan *Plan) map[string]*base {
	bases := map[string]*base{}
	var images []string
	for _, step := range plan.Steps {
		for _, use := range step.Images {
			if _, sibling := step.Siblings[use.Image]; sibling {
				continue
			}
			if bases[use.Image] == nil {
				bases[use.Image] = &base{}
				images = append(images, use.Image)
			}
			bases[use.Image].from = bases[use.Image].from || use.From()
		}
	}
	parallel.Each(len(images), parallel.Lookups, func(i int) {
		b := bases[images[i]]
		b.err = r.lookUpBase(ctx, images[i], b)
	})
	return bases
}

func (r *Run) lookUpBase(ctx context.Context, image string, b *base) error {
	ref, err := reference.Parse(image)
	if err != nil {
		return err
	}
	if b.digest, err = r.Bases.Digest(ctx, ref); err != nil || b.digest == "" || !b.from {
		return err
	}
	b.onBuild, b.known, err = r.Bases.OnBuild(ctx, ref, b.digest)
	return err
}

// reads are the patterns of what the step reads of its context, with what
// ONBUILD instructions of its base images read there: all of it, where it is not
// known which there are.
func (s Step) reads(bases map[string]*base) ([]string, error) {
	inherits := false
	for _, use := range s.Images {
		if !use.From() || s.Siblings[use.Image] != "" || bases[use.Image].digest == "" {
			continue
		}
		if !bases[use.Image].known {
			return append(s.Reads[:len(s.Reads):len(s.Reads)], dockerfile.Everything), nil
		}
		inherits = inherits || len(bases[use.Image].onBuild) > 0
	}
	if !inherits {
		return s.Reads, nil
	}
	file, err := dockerfile.Parse(s.Dockerfile, s.Source, dockerfile.Options{Args: s.Args, Stage: s.Stage, OnBuild: func(image string) []string {
		if b := bases[image]; b != nil {
			return b.onBuild
		}
		return s.inherited[image]
	}})
	if err != nil {
		return nil, err
	}
	if len(file.Images) != len(s.Images) {
		return nil, fmt.Errorf("%s: an ONBUILD instruction of its base image takes something from a stage that nothing else uses, so what that stage is built from is not locked: use it in a COPY --from as well", s.Dockerfile)
	}
	return file.Reads, nil
}
