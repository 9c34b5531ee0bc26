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

// errNoImage marks a manifest that is something else, such as a signature.
var errNoImage = errors.New("not an image")

// Inspect implements release.Inspector. It takes a GET for the manifest, one
// for each image and index of an index, and one for the configuration that has the
// labels (one for each image that the index gives no platform for).
func (c *Client) Inspect(ctx context.Context, ref string) (release.Inspection, error) {
	doing := "inspecting " + ref
	parsed, err := c.parse(ref)
	if err != nil {
		return release.Inspection{}, fmt.Errorf("%s: %w", doing, err)
	}
	got, err := c.puller(parsed.Context()).Get(ctx, parsed)
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), err)
	}
	digest := got.Digest.String()
	if err := reference.CheckDigest(digest); err != nil {
		return release.Inspection{}, fmt.Errorf("%s: %w", doing, err)
	}
	images, err := imagesOf(got)
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), err)
	}
	inspection, err := summarize(images)
	if err != nil {
		return release.Inspection{}, explain(ctx, doing, parsed.Context(), err)
	}
	inspection.Descriptor = Descriptor{Digest: digest, MediaType: string(got.MediaType), Size: got.Size}
	return inspection, nil
}

// inspected is one image of a reference.
type inspected struct {
	image    v1.Image
	manifest *v1.Manifest
	platform string
}

// imagesOf are the images that a manifest or index points to; at least one.
func imagesOf(got *remote.Descriptor) ([]inspected, error) {
	if !got.MediaType.IsIndex() {
		if !got.MediaType.IsImage() {
			return nil, fmt.Errorf("%s is %w: its media type is %s", got.Digest, errNoImage, got.MediaType)
		}
		image, err := got.Image()
		if err != nil {
			return nil, err
		}
		one, err := inspectImage(image, got.Digest, nil)
		if err != nil {
			return nil, err
		}
		return []inspected{one}, nil
	}
	index, err := got.ImageIndex()
	if err != nil {
		return nil, err
	}
	images, err := imagesIn(index, got.Digest, 0)
	if err == nil && len(images) == 0 {
		err = fmt.Errorf("index %s holds no image", got.Digest)
	}
	return images, err
}

// imagesIn are the images of an index, and of the indexes in it.
func imagesIn(index v1.ImageIndex, digest v1.Hash, level int) ([]inspected, error) {
	content, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var images []inspected
	for _, child := range content.Manifests {
		if isAttestation(child.Platform) {
			continue
		}
		inside, err := imagesAt(index, child, level)
		if errors.Is(err, errNoImage) && child.MediaType.IsImage() {
			continue // a signature, or the like
		}
		if err != nil {
			return nil, fmt.Errorf("index %s: %w", digest, err)
		}
		images = append(images, inside...)
	}
	return images, nil
}

// imagesAt are the images that an entry of an index stands for.
func imagesAt(index v1.ImageIndex, child v1.Descriptor, level int) ([]inspected, error) {
	switch {
	case child.MediaType.IsIndex() && level < maxIndexes:
		inner, err := index.ImageIndex(child.Digest)
		if err != nil {
			return nil, err
		}
		return imagesIn(inner, child.Digest, level+1)
	case !child.MediaType.IsImage():
		return nil, fmt.Errorf("%s is %w: its media type is %s", child.Digest, errNoImage, child.MediaType)
	}
	image, err := index.Image(child.Digest)
	if err != nil {
		return nil, err
	}
	one, err := inspectImage(image, child.Digest, child.Platform)
	return []inspected{one}, err
}

// isAttestation tells whether an index's entry is BuildKit's attestation of
// another one, which it gives the platform unknown/unknown (BuildKit,
// docs/attestations/attestation-storage.md).
func isAttestation(p *v1.Platform) bool {
	return p != nil && p.OS == "unknown" && p.Architecture == "unknown"
}

// inspectImage reads the manifest of an image, and its platform from the
// configuration unless it is known.
func inspectImage(image v1.Image, digest v1.Hash, platform *v1.Platform) (inspected, error) {
	manifest, err := image.Manifest()
	if err != nil {
		return inspected{}, err
	}
	switch manifest.Config.MediaType {
	case types.OCIConfigJSON, types.DockerConfigJSON:
	default:
		return inspected{}, fmt.Errorf("%s is %w: its configuration's media type is %q", digest, errNoImage, manifest.Config.MediaType)
	}
	if platform == nil {
		config, err := image.ConfigFile()
		if err != nil {
			return inspected{}, fmt.Errorf("reading the configuration of %s: %w", digest, err)
		}
		platform = &v1.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}
	}
	if platform.OS == "" || platform.Architecture == "" {
		return inspected{}, fmt.Errorf("image %s does not say which platform it is for", digest)
	}
	text := platform.OS + "/" + platform.Architecture
	if platform.Variant != "" {
		text += "/" + platform.Variant
	}
	return inspected{image: image, manifest: manifest, platform: text}, nil
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
