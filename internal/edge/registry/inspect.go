package registry

import (
	"context"
	"fmt"

	"github.com/containerd/platforms"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rtbuild/rtbuild/internal/edge/registry/images"
	"github.com/rtbuild/rtbuild/pkg/baseimage"
	"github.com/rtbuild/rtbuild/pkg/release"
)

var (
	_ release.Inspector  = (*Client)(nil)
	_ release.BaseReader = (*Client)(nil)
)

// Inspect implements release.Inspector. It takes a GET for the manifest, one
// for each image and index of an index, and one for the configuration that has the
// labels (one for each image that the index gives no platform for).
func (c *Client) Inspect(ctx context.Context, ref string) (release.Inspection, error) {
	doing := "inspecting " + ref
	parsed, got, err := c.fetch(ctx, doing, ref)
	if err != nil {
		return release.Inspection{}, err
	}
	desc, err := described(doing, parsed, &got.Descriptor)
	if err != nil {
		return release.Inspection{}, err
	}
	all, children, err := images.All(got)
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), err)
	}
	config, err := all[0].ConfigFile()
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), fmt.Errorf("reading the configuration for %s: %w", all[0].Platform, err))
	}
	inspection := release.Inspection{Descriptor: desc, Children: children, Labels: config.Config.Labels}
	for _, one := range all {
		inspection.Platforms = append(inspection.Platforms, one.Platform)
	}
	return inspection, nil
}

// Config implements release.BaseReader. It takes a GET for the manifest and one
// for the configuration, and one more for each level of indexes.
func (c *Client) Config(ctx context.Context, ref, platform string) (baseimage.Config, error) {
	_, config, err := c.image(ctx, "inspecting "+ref, ref, platform)
	if err != nil {
		return baseimage.Config{}, err
	}
	return baseimage.Config{
		Created: config.Created.Time, Env: config.Config.Env, WorkingDir: config.Config.WorkingDir, User: config.Config.User,
		Shell: config.Config.Shell, OnBuild: config.Config.OnBuild,
		LocalOnly: config.Config.Labels[baseimage.LabelLocalOnly],
	}, nil
}

// image is the image that ref points to for a platform, and its configuration.
func (c *Client) image(ctx context.Context, doing, ref, platform string) (v1.Image, *v1.ConfigFile, error) {
	wanted, err := platforms.Parse(platform)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: platform %q: %w", doing, platform, err)
	}
	parsed, got, err := c.fetch(ctx, doing, ref)
	if err != nil {
		return nil, nil, err
	}
	image, err := images.For(got, wanted)
	if err != nil {
		return nil, nil, explain(ctx, doing, parsed.Context(), err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, nil, explain(ctx, doing, parsed.Context(), fmt.Errorf("reading the configuration: %w", err))
	}
	return image, config, nil
}
