package registry

import (
	"context"
	"fmt"

	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/release"
)

var _ release.BaseReader = (*Client)(nil)

// Config implements release.BaseReader. It takes a GET for the manifest and one
// for the configuration, and one more for each level of indexes.
func (c *Client) Config(ctx context.Context, ref, platform string) (baseimage.Config, error) {
	doing := "inspecting " + ref
	parsed, err := c.parse(ref)
	if err != nil {
		return baseimage.Config{}, fmt.Errorf("%s: %w", doing, err)
	}
	wanted, err := platforms.Parse(platform)
	if err != nil {
		return baseimage.Config{}, fmt.Errorf("%s: platform %q: %w", doing, platform, err)
	}
	got, err := c.get(ctx, parsed)
	if err != nil {
		return baseimage.Config{}, explain(ctx, doing, parsed.Context(), err)
	}
	image, err := imageFor(got, wanted)
	if err != nil {
		return baseimage.Config{}, explain(ctx, doing, parsed.Context(), err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return baseimage.Config{}, explain(ctx, doing, parsed.Context(), fmt.Errorf("reading the configuration: %w", err))
	}
	return baseimage.Config{
		Created: config.Created.Time, Env: config.Config.Env, WorkingDir: config.Config.WorkingDir, User: config.Config.User,
		Shell: config.Config.Shell, OnBuild: config.Config.OnBuild,
		LocalOnly: config.Config.Labels[baseimage.LabelLocalOnly],
	}, nil
}

// imageFor is the image that a manifest points to, whatever it is for, or an
// index's image for a platform.
func imageFor(got *remote.Descriptor, wanted ocispec.Platform) (v1.Image, error) {
	if !got.MediaType.IsIndex() {
		return got.Image()
	}
	index, err := got.ImageIndex()
	if err != nil {
		return nil, err
	}
	image, err := choose(index, platforms.Only(wanted), 0)
	if err == nil && image == nil {
		err = fmt.Errorf("index %s holds no image for %s", got.Digest, platforms.Format(wanted))
	}
	return image, err
}

// maxIndexes is how many levels of indexes are followed.
const maxIndexes = 8

// choose is the image of an index, and of the indexes in it, that fits best; nil
// if none does. An image or an index that does not say what it is for may fit.
func choose(index v1.ImageIndex, fits platforms.MatchComparer, level int) (v1.Image, error) {
	content, err := index.IndexManifest()
	if err != nil || level == maxIndexes {
		return nil, err
	}
	var best v1.Image
	var bestPlatform ocispec.Platform
	for _, child := range content.Manifests {
		if isAttestation(child.Platform) {
			continue
		}
		image, platform, err := candidate(index, child, fits, level)
		if err != nil {
			return nil, err
		}
		if image != nil && fits.Match(platform) && (best == nil || fits.Less(platform, bestPlatform)) {
			best, bestPlatform = image, platform
		}
	}
	return best, nil
}

// candidate is an entry of an index and what it is for; nil if it does not fit
// or is no image.
func candidate(index v1.ImageIndex, child v1.Descriptor, fits platforms.MatchComparer, level int) (v1.Image, ocispec.Platform, error) {
	if child.Platform != nil && !fits.Match(toOCI(child.Platform)) {
		return nil, ocispec.Platform{}, nil
	}
	var image v1.Image
	var err error
	switch {
	case child.MediaType.IsIndex():
		var inner v1.ImageIndex
		if inner, err = index.ImageIndex(child.Digest); err == nil {
			image, err = choose(inner, fits, level+1)
		}
	case child.MediaType.IsImage():
		image, err = index.Image(child.Digest)
	}
	if err != nil || image == nil {
		return nil, ocispec.Platform{}, err
	}
	if child.Platform != nil {
		return image, toOCI(child.Platform), nil
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, ocispec.Platform{}, err
	}
	return image, ocispec.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}, nil
}

func toOCI(p *v1.Platform) ocispec.Platform {
	return platforms.Normalize(ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
}
