package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

var _ release.Inspector = (*Client)(nil)

// Inspect implements release.Inspector. It takes a GET for the manifest, one
// for each image and index of an index, and one for the configuration that has the
// labels (one for each image that the index gives no platform for).
func (c *Client) Inspect(ctx context.Context, ref string) (release.Inspection, error) {
	doing := "inspecting " + ref
	parsed, err := c.parse(ref)
	if err != nil {
		return release.Inspection{}, fmt.Errorf("%s: %w", doing, err)
	}
	got, err := c.get(ctx, parsed)
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), err)
	}
	digest := got.Digest.String()
	if err := reference.CheckDigest(digest); err != nil {
		return release.Inspection{}, fmt.Errorf("%s: %w", doing, err)
	}
	images, children, err := imagesOf(got)
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), err)
	}
	inspection, err := summarize(images)
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), err)
	}
	inspection.Children = children
	inspection.Descriptor = Descriptor{Digest: digest, MediaType: string(got.MediaType), Size: got.Size}
	return inspection, nil
}

// inspected is one image of a reference.
type inspected struct {
	image    v1.Image
	platform string
}

// imagesOf are the images that a manifest or index points to, at least one, and
// the digests of all manifests below an index.
func imagesOf(got *remote.Descriptor) (images []inspected, children []string, err error) {
	if !got.MediaType.IsIndex() {
		if !got.MediaType.IsImage() {
			return nil, nil, noImage(got.Descriptor)
		}
		image, err := got.Image()
		if err != nil {
			return nil, nil, err
		}
		one, err := inspectImage(image, got.Descriptor)
		return []inspected{one}, nil, err
	}
	index, err := got.ImageIndex()
	if err != nil {
		return nil, nil, err
	}
	err = walk(index, 0, func(child v1.Descriptor) bool {
		children = append(children, child.Digest.String())
		return true
	}, func(parent v1.ImageIndex, child v1.Descriptor) error {
		if !child.MediaType.IsImage() {
			return noImage(child)
		}
		image, err := parent.Image(child.Digest)
		if err != nil {
			return err
		}
		one, err := inspectImage(image, child)
		if errors.Is(err, reference.ErrNoImage) {
			return nil // a signature, or the like
		}
		images = append(images, one)
		return err
	})
	if err == nil && len(images) == 0 {
		err = fmt.Errorf("index %s holds no image: it is %w", got.Digest, reference.ErrNoImage)
	}
	return images, children, err
}

// maxIndexes is how many levels of indexes are followed.
const maxIndexes = 8

// walk calls visit with what is below an index, and the indexes in it, and is no
// index: with its own index, and the entry there. Attestations are left out, and
// what is not wanted, with all below it.
func walk(index v1.ImageIndex, level int, wanted func(v1.Descriptor) bool, visit func(v1.ImageIndex, v1.Descriptor) error) error {
	content, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, child := range content.Manifests {
		if !wanted(child) || isAttestation(child.Platform) {
			continue
		}
		var inner v1.ImageIndex
		switch {
		case !child.MediaType.IsIndex():
			err = visit(index, child)
		case level == maxIndexes:
			err = noImage(child)
		default:
			if inner, err = index.ImageIndex(child.Digest); err == nil {
				err = walk(inner, level+1, wanted, visit)
			}
		}
		if err != nil {
			return fmt.Errorf("in its index: %w", err)
		}
	}
	return nil
}

func noImage(of v1.Descriptor) error {
	return fmt.Errorf("%s is %w: its media type is %s", of.Digest, reference.ErrNoImage, of.MediaType)
}

// isAttestation tells whether an index's entry is BuildKit's attestation of
// another one, which it gives the platform unknown/unknown (BuildKit,
// docs/attestations/attestation-storage.md).
func isAttestation(p *v1.Platform) bool {
	return p != nil && p.OS == "unknown" && p.Architecture == "unknown"
}

// inspectImage reads the manifest of an image.
func inspectImage(image v1.Image, of v1.Descriptor) (inspected, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return inspected{}, err
	}
	switch manifest.Config.MediaType {
	case types.OCIConfigJSON, types.DockerConfigJSON:
	default:
		return inspected{}, fmt.Errorf("%s is %w: its configuration's media type is %q", of.Digest, reference.ErrNoImage, manifest.Config.MediaType)
	}
	platform, err := platformOf(image, of)
	if err == nil && (platform.OS == "" || platform.Architecture == "") {
		err = fmt.Errorf("image %s does not say which platform it is for", of.Digest)
	}
	return inspected{image: image, platform: platform.String()}, err
}

// platformOf is what an image is for, as its entry in an index says, or else its
// configuration.
func platformOf(image v1.Image, of v1.Descriptor) (v1.Platform, error) {
	if p := of.Platform; p != nil {
		return v1.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}, nil
	}
	config, err := image.ConfigFile()
	if err != nil {
		return v1.Platform{}, fmt.Errorf("reading the configuration of %s: %w", of.Digest, err)
	}
	return v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}, nil
}

// summarize puts images together, with the labels of the first by platform.
func summarize(images []inspected) (release.Inspection, error) {
	slices.SortStableFunc(images, func(a, b inspected) int { return cmp.Compare(a.platform, b.platform) })
	config, err := images[0].image.ConfigFile()
	if err != nil {
		return release.Inspection{}, fmt.Errorf("reading the configuration for %s: %w", images[0].platform, err)
	}
	sum := release.Inspection{Labels: config.Config.Labels}
	for _, one := range images {
		sum.Platforms = append(sum.Platforms, one.platform)
	}
	return sum, nil
}
