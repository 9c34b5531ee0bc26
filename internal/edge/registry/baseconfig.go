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
	image, err := choose(index, platforms.Only(wanted))
	if err == nil && image == nil {
		err = fmt.Errorf("index %s holds no image for %s", got.Digest, platforms.Format(wanted))
	}
	return image, err
}

// choose is the image of an index, and of the indexes in it, that fits best; nil
// if none does. An image or an index that does not say what it is for may fit.
func choose(index v1.ImageIndex, fits platforms.MatchComparer) (best v1.Image, err error) {
	var bestPlatform ocispec.Platform
	err = walk(index, 0, func(child v1.Descriptor) bool {
		return child.Platform == nil || fits.Match(toOCI(*child.Platform))
	}, func(parent v1.ImageIndex, child v1.Descriptor) error {
		if !child.MediaType.IsImage() {
			return nil
		}
		image, err := parent.Image(child.Digest)
		if err != nil {
			return err
		}
		said, err := platformOf(image, child)
		if platform := toOCI(said); err == nil && fits.Match(platform) && (best == nil || fits.Less(platform, bestPlatform)) {
			best, bestPlatform = image, platform
		}
		return err
	})
	return best, err
}

func toOCI(p v1.Platform) ocispec.Platform {
	return platforms.Normalize(ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
}
