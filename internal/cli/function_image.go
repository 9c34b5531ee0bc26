package cli

import (
	"context"

	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/internal/edge/docker"
	"github.com/rtbuild/rtbuild/pkg/function"
	"github.com/rtbuild/rtbuild/pkg/function/containers"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// imageFlags are those of images.
func (o *deployOptions) imageFlags(set *pflag.FlagSet) {
	set.StringVar(&o.image, "image", "", "install and compile it here, with Docker, push it in an image of its own to `REPOSITORY`, and run that")
	set.StringVar(&o.readyPath, "ready-path", "", "on Kubernetes: the `PATH` that says whether it is ready, for images without /readyz (default /readyz)")
}

// checkImage makes sure that --image, where it is given, is a repository to push
// to.
func (o *deployOptions) checkImage() error {
	if o.image == "" {
		return nil
	}
	ref, err := reference.Parse(o.image)
	if err != nil {
		return invocation.Usagef("--image %s: %v", o.image, err)
	}
	if ref.Tag != "" || ref.Digest != "" {
		return invocation.Usagef("--image %s: want a repository, HOST/NAME; each image gets a tag of its own there", o.image)
	}
	return nil
}

// intoImage puts a function into an image in a repository, if there is one, and
// notes which.
func (s *session) intoImage(ctx context.Context, f *function.Function, repository string) error {
	if repository == "" {
		return nil
	}
	place, err := s.locate(ctx, repository)
	if err != nil {
		return err
	}
	s.app.Notef("putting %s into an image", f.Name)
	return s.onDocker(ctx, func(engine *docker.Engine) error {
		f.Image, err = containers.Package(ctx, engine, s.registryClient(), f, place)
		return err
	})
}

// imageRepository is where an image was pushed to.
func imageRepository(image string) string {
	ref, err := reference.Parse(image)
	if err != nil {
		return ""
	}
	return ref.Name
}
