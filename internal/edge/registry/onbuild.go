package registry

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rtbuild/rtbuild/pkg/release"
)

var _ release.BaseReader = (*Client)(nil)

// OnBuild implements release.BaseReader. It takes a GET for the manifest and
// one for the configuration, and for an index one more.
func (c *Client) OnBuild(ctx context.Context, ref string) ([]string, error) {
	doing := "inspecting " + ref
	parsed, err := c.parse(ref)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	got, err := c.puller.Get(ctx, parsed)
	if err != nil {
		return nil, explain(ctx, doing, parsed.Context(), err)
	}
	image, err := firstImage(got)
	if err != nil {
		return nil, explain(ctx, doing, parsed.Context(), err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, explain(ctx, doing, parsed.Context(), fmt.Errorf("reading the configuration: %w", err))
	}
	return config.Config.OnBuild, nil
}

// firstImage is the image that a manifest stands for, or an index's first one.
func firstImage(got *remote.Descriptor) (v1.Image, error) {
	if !got.MediaType.IsIndex() {
		return got.Image()
	}
	index, content, err := openIndex(got)
	if err != nil {
		return nil, err
	}
	for _, child := range content.Manifests {
		if child.MediaType.IsImage() && !isAttestation(child.Platform) {
			return index.Image(child.Digest)
		}
	}
	return nil, fmt.Errorf("index %s holds no image", got.Digest)
}
