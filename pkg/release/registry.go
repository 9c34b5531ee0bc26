package release

import (
	"context"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// A BaseReader is a Resolver that can read what a base image says to builds on
// it. It is safe for concurrent use.
type BaseReader interface {
	reference.Resolver
	// Config reads what the image that ref points to says to builds on it; where
	// that is an index, or an index of indexes, the image for the platform
	// ("os/arch[/variant]") as engines choose it. Errors are those of
	// reference.Resolver.
	Config(ctx context.Context, ref, platform string) (baseimage.Config, error)
}

// A Tagger moves tags. It is safe for concurrent use.
type Tagger interface {
	// Tag makes ref (NAME:TAG) point to the manifest or index that its
	// repository has under digest. No image is uploaded. Errors are those of
	// reference.Resolver.
	Tag(ctx context.Context, ref, digest string) error
}

// An Inspection is what an image says of itself.
type Inspection struct {
	reference.Descriptor
	// Platforms are "os/arch[/variant]" of the images that the reference
	// points to, sorted; attestations are no images.
	Platforms []string
	// Labels are those of the image's configuration; of the first platform's
	// where there are several.
	Labels map[string]string
	// Children are the digests that an index lists, attestations too.
	Children []string
}

// An Inspector reads what an image says of itself. It is safe for concurrent
// use.
type Inspector interface {
	// Inspect reads the manifest and configuration that ref (NAME:TAG or
	// NAME@DIGEST) points to. Errors are those of reference.Resolver, or wrap
	// reference.ErrNoImage.
	Inspect(ctx context.Context, ref string) (Inspection, error)
}
